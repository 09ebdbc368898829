/* Who is meant by what was dialled: a pure function over the directory. First rule that fits wins:
 * a WZP fingerprint, the echo number, an alias, a number, a local user. Thread: any (immutable after build).
 * `wzpctl explain` and the log print the same trail of rules. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/cause.h"

#define GW_FINGERPRINT_TEXT 40
#define GW_DIALLED_MAX      128

/** One row: any of alias and number may be NULL. Texts are borrowed until gw_routes_free(). */
struct gw_route_entry {
    const char *alias;
    const char *number;
    const char *user;        /**< a local SIP user's name, or NULL */
    const char *fingerprint; /**< routing form */
};

struct gw_routes;

int gw_routes_new(struct gw_routes **ret, const struct gw_route_entry *entries, size_t count);
void gw_routes_free(struct gw_routes *routes);

enum gw_route_rule {
    GW_RULE_NONE,
    GW_RULE_FINGERPRINT,
    GW_RULE_ALIAS,
    GW_RULE_NUMBER,
    GW_RULE_USER,
};

struct gw_route {
    enum gw_route_rule rule;
    char fingerprint[GW_FINGERPRINT_TEXT];
    enum gw_cause refusal; /**< NONE, or why not: NOT_FOUND, FORBIDDEN (calling oneself is allowed) */
};

/** dialled: the user part of the request URI, percent-decoded. Visual separators in numbers are ignored. */
void gw_routes_find(const struct gw_routes *routes, const char *dialled, struct gw_route *ret);
/** The row whose fingerprint this is (for the caller's number and name), or NULL. */
const struct gw_route_entry *gw_routes_by_fingerprint(const struct gw_routes *routes, const char *fingerprint);
const char *gw_route_rule_name(enum gw_route_rule rule);

#endif
