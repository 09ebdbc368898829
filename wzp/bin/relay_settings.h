/* What wzp-relay can be told, by command line and by file. One table (relay_settings.c) holds each setting's name in
 * the file, its flag, its kind, range, default and help: it drives both readers, --help, the file's template and what a
 * reload compares. Names are those of the reference relay where it has the setting (docs/relay.md). Thread: any. */
#ifndef WZP_BIN_RELAY_SETTINGS_H
#define WZP_BIN_RELAY_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/bin/relay_mistakes.h"
#include "wzp/rt/log.h"

/** Texts are owned, NULL when absent. */
struct relay_settings {
    char *identity; /**< NULL: the default place */
    struct wz_addr listen, public_address;
    struct wz_addr metrics; /**< family NONE: none */
    char *auth_url;
    char *debug_tap; /**< a room or "*" */
    unsigned max_sessions, max_registrations, max_calls;
    unsigned register_wait_ms, ring_ms, setup_ms, direct_grace_ms;
    unsigned offers_per_minute;
    unsigned source_offers_per_minute, source_reflects_per_minute, source_joins_per_minute;
    unsigned source_registrations_per_minute, source_signed_registrations_per_minute, source_waiting;
    bool strict, strict_privacy, quality_directives;
    enum wz_log_level log_level;
    bool json_log;
};

/** All defaults. 0 or -ENOMEM. */
int relay_settings_init(struct relay_settings *settings);
void relay_settings_done(struct relay_settings *settings);

/* ---- one setting ---- */

struct relay_setting;

size_t relay_setting_count(void);
const struct relay_setting *relay_setting_at(size_t i);
const char *relay_setting_name(const struct relay_setting *setting);
/** Its long option without the dashes; NULL: in the file only. */
const char *relay_setting_flag(const struct relay_setting *setting);
bool relay_setting_flag_takes_value(const struct relay_setting *setting);
/** A setting of the reference that this relay has no part of: NULL, or why it is refused. */
const char *relay_setting_unserved(const struct relay_setting *setting);
/** May change while the relay runs. */
bool relay_setting_is_live(const struct relay_setting *setting);
bool relay_setting_differs(const struct relay_setting *setting, const struct relay_settings *a,
                           const struct relay_settings *b);
/** Set from a flag's value. 0; -EINVAL with what was expected in *ret_expected; -ENOMEM. */
int relay_setting_set_text(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                           char ret_expected[static RELAY_MISTAKE_TEXT]);
/** The lines about flags in --help. */
void relay_settings_print_flags(FILE *out);

/* ---- the file ---- */

/**
 * Read a file's text on top of what settings holds.
 *
 * @param mistakes  Found ones are added; with any, settings holds what was right and is not to be used.
 * @param notes     Settings that were accepted and have no effect; added likewise.
 * @return          0 (see mistakes) or -ENOMEM.
 */
int relay_settings_parse(struct relay_settings *settings, struct wz_bytes text, struct relay_mistakes *mistakes,
                         struct relay_mistakes *notes);
/**
 * Read the file at path; a missing one is made from a template in which every setting is a comment.
 *
 * @return 0 (see mistakes), -ENOMEM, or that of the file system.
 */
int relay_settings_load(struct relay_settings *settings, const char *path, struct relay_mistakes *mistakes,
                        struct relay_mistakes *notes, bool *ret_created);
/** The template's text, malloc'd; NULL without memory. */
char *relay_settings_template(void);

#endif
