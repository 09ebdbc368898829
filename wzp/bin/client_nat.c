#include "wzp/bin/client_nat.h"

const char *client_nat_drops(const struct wz_addr *seen)
{
    const struct wz_addr plain = wz_addr_unmap(*seen);
    switch (wz_addr_kind(&plain)) {
    case WZ_ADDR_KIND_LOOPBACK:
        return "loopback";
    case WZ_ADDR_KIND_LINK_LOCAL:
        return "link-local";
    case WZ_ADDR_KIND_PRIVATE:
        return "private";
    case WZ_ADDR_KIND_CGNAT:
        return "carrier-grade NAT";
    case WZ_ADDR_KIND_PUBLIC:
        return plain.port ? NULL : "no address";
    case WZ_ADDR_KIND_NONE:
        break;
    }
    return "no address";
}

static bool same_server_before(const struct client_nat_answer *answer, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (answer[i].seen.family != WZ_ADDR_NONE && wz_addr_equal(&answer[i].server, &answer[index].server))
            return true;
    return false;
}

/** The answers of a family that count, in their order. */
static size_t collect(const struct client_nat_answer *answer, size_t count, enum wz_addr_family family,
                      struct wz_addr ret[static CLIENT_NAT_SERVERS_MAX])
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < CLIENT_NAT_SERVERS_MAX; i++) {
        const struct wz_addr seen = wz_addr_unmap(answer[i].seen);
        if (seen.family == family && !client_nat_drops(&seen) && !same_server_before(answer, i))
            ret[found++] = seen;
    }
    return found;
}

static enum client_nat_verdict compare(const struct wz_addr *seen, size_t count)
{
    bool same_port = true;
    if (count < 2)
        return CLIENT_NAT_UNKNOWN;
    for (size_t i = 1; i < count; i++) {
        if (!wz_addr_same_ip(&seen[0], &seen[i]))
            return CLIENT_NAT_MULTIPLE;
        same_port &= seen[0].port == seen[i].port;
    }
    return same_port ? CLIENT_NAT_CONE : CLIENT_NAT_SYMMETRIC_PORT;
}

struct client_nat_result client_nat_classify(const struct client_nat_answer *answer, size_t count,
                                             const struct wz_addr *own, size_t own_count)
{
    struct wz_addr v4[CLIENT_NAT_SERVERS_MAX], v6[CLIENT_NAT_SERVERS_MAX];
    const size_t v4_count = collect(answer, count, WZ_ADDR_V4, v4);
    const size_t v6_count = collect(answer, count, WZ_ADDR_V6, v6);
    const struct wz_addr *seen = v6_count > v4_count ? v6 : v4;
    struct client_nat_result result = { .counted = v6_count > v4_count ? v6_count : v4_count };
    result.verdict = compare(seen, result.counted);
    if (!result.counted)
        return result;
    result.mapped = seen[0];
    result.translated = true;
    for (size_t i = 0; i < own_count; i++)
        if (wz_addr_same_ip(&own[i], &seen[0]) && own[i].port == seen[0].port)
            result.translated = false;
    return result;
}

const char *client_nat_verdict_name(enum client_nat_verdict verdict)
{
    static const char *const names[] = {
        [CLIENT_NAT_UNKNOWN] = "Unknown",
        [CLIENT_NAT_MULTIPLE] = "Multiple",
        [CLIENT_NAT_CONE] = "Cone",
        [CLIENT_NAT_SYMMETRIC_PORT] = "SymmetricPort",
    };
    return names[verdict];
}

const char *client_nat_meaning(const struct client_nat_result *result)
{
    switch (result->verdict) {
    case CLIENT_NAT_CONE:
        return result->translated
                   ? "direct calls will work with peers that have no NAT or one of this kind; others take the relay"
                   : "there is no NAT: direct calls will work with everybody, unless a firewall stops what comes in";
    case CLIENT_NAT_SYMMETRIC_PORT:
        return "every peer would have to guess our port: direct calls will work only with peers that anybody can "
               "reach; "
               "others take the relay";
    case CLIENT_NAT_MULTIPLE:
        return "no address of ours holds for everybody: direct calls will work only with peers that anybody can reach; "
               "others take the relay";
    case CLIENT_NAT_UNKNOWN:
        break;
    }
    return result->counted
               ? "one public address says nothing about what other peers see: name another relay or STUN server"
               : "nobody saw a public address of ours: direct calls will work only inside our own network";
}
