/* See relay_settings.h. */
#include "wzp/bin/relay_settings.h"

#include <errno.h>
#include <stdlib.h>

#include "wzp/bin/relay_settings_file.h"
#include "wzp/web/http_post.h"

#define DEFAULT_PORT 4433
#define COUNT_MAX    1000000
#define WAIT_MAX_MS  3600000
/** Longest room name that can come out of TLS. */
#define ROOM_MAX_BYTES 253

#define AT(member)    offsetof(struct relay_settings, member)
#define NO_FEDERATION "links between relays are not served by this relay yet"
#define NO_PROBES     "probes of other relays are not served by this relay yet"
#define NO_WEB        "the WebSocket listener is not served by this relay yet"
#define NO_FORWARD    "forwarding everything to another relay is not served by this relay yet"
#define NO_TRUNKS     "trunk frames are not served by this relay yet: no client can read them"
#define NO_EVENT_LOG  "the event log is not served by this relay yet: its events are those of links between relays"

static const struct relay_setting settings_table[] = {
    { "listen_addr", "listen", "ADDR", RELAY_KIND_LISTEN, AT(listen), 0, 0, "0.0.0.0:4433", false, NULL,
      "address and UDP port to serve on, IP[:PORT] or [IP6]:PORT" },
    { "public_address", "public-address", "ADDR", RELAY_KIND_PUBLIC, AT(public_address), 0, 0, NULL, false, NULL,
      "address that clients are told for media, IP[:PORT]; without it each client is told the local address it "
      "reached the relay on, which is private behind a NAT" },
    { "identity", "identity", "FILE", RELAY_KIND_TEXT, AT(identity), 1, 4095, NULL, false, NULL,
      "the relay's seed, 64 hex digits; made when missing, mode 0600 (default ~/.wzp/relay-identity)" },
    { "max_sessions", "max-sessions", "N", RELAY_KIND_COUNT, AT(max_sessions), 1, COUNT_MAX, "100", false, NULL,
      "media connections in rooms at the same time" },
    { "max_registrations", NULL, NULL, RELAY_KIND_COUNT, AT(max_registrations), 1, COUNT_MAX, "20000", false, NULL,
      "registered users at the same time" },
    { "max_calls", NULL, NULL, RELAY_KIND_COUNT, AT(max_calls), 1, COUNT_MAX, "20000", false, NULL,
      "calls at the same time" },
    { "auth_url", "auth-url", "URL", RELAY_KIND_URL, AT(auth_url), 0, 0, NULL, false, NULL,
      "http or https address of the server that says whether a client's token is valid, and whose it is" },
    { "metrics_port", "metrics-port", "N", RELAY_KIND_METRICS_PORT, AT(metrics), 1, 65535, NULL, false, NULL,
      "serve /metrics, /healthz and /readyz on this TCP port of 127.0.0.1" },
    { "metrics_listen", "metrics-listen", "ADDR", RELAY_KIND_METRICS_LISTEN, AT(metrics), 0, 0, NULL, false, NULL,
      "the same on another address, IP:PORT; nothing protects it but your firewall" },
    { "strict", "strict", NULL, RELAY_KIND_FLAG, AT(strict), 0, 0, "false", false, NULL,
      "refuse registrations and offers without a valid signature, and replayed handshakes; the reference's clients "
      "do not sign" },
    { "strict_privacy", "strict-privacy", NULL, RELAY_KIND_FLAG, AT(strict_privacy), 0, 0, "false", false, NULL,
      "show a caller's addresses to the callee only when the call was accepted as trusted" },
    { "quality_directives", NULL, NULL, RELAY_KIND_FLAG, AT(quality_directives), 0, 0, "true", false, NULL,
      "tell clients in a room which quality its weakest connection carries" },
    { "register_wait_ms", NULL, NULL, RELAY_KIND_COUNT, AT(register_wait_ms), 100, WAIT_MAX_MS, "10000", false, NULL,
      "a connection's first message must come within this time" },
    { "ring_ms", NULL, NULL, RELAY_KIND_COUNT, AT(ring_ms), 1000, WAIT_MAX_MS, "120000", false, NULL,
      "an offer nobody answers ends after this time" },
    { "setup_ms", NULL, NULL, RELAY_KIND_COUNT, AT(setup_ms), 1000, WAIT_MAX_MS, "30000", false, NULL,
      "both parties of an answered call must be in its room within this time" },
    { "direct_grace_ms", NULL, NULL, RELAY_KIND_COUNT, AT(direct_grace_ms), 100, WAIT_MAX_MS, "20000", false, NULL,
      "a call on a direct path survives the loss of a party's connection to the relay for this long" },
    { "offers_per_minute", NULL, NULL, RELAY_KIND_COUNT, AT(offers_per_minute), 1, COUNT_MAX, "300", false, NULL,
      "calls that one registered user may place" },
    { "source_offers_per_minute", NULL, NULL, RELAY_KIND_COUNT, AT(source_offers_per_minute), 1, COUNT_MAX, "1200",
      false, NULL, "calls placed from one IPv4 address or IPv6 /64" },
    { "source_reflects_per_minute", NULL, NULL, RELAY_KIND_COUNT, AT(source_reflects_per_minute), 1, COUNT_MAX, "2400",
      false, NULL, "reflects and pings from one source" },
    { "source_joins_per_minute", NULL, NULL, RELAY_KIND_COUNT, AT(source_joins_per_minute), 1, COUNT_MAX, "600", false,
      NULL, "room joins from one source" },
    { "source_registrations_per_minute", NULL, NULL, RELAY_KIND_COUNT, AT(source_registrations_per_minute), 1,
      COUNT_MAX, "600", false, NULL, "registrations without a valid signature from one source" },
    { "source_signed_registrations_per_minute", NULL, NULL, RELAY_KIND_COUNT,
      AT(source_signed_registrations_per_minute), 1, COUNT_MAX, "12000", false, NULL,
      "signed registrations from one source; a gateway registers all its users from one address" },
    { "source_waiting", NULL, NULL, RELAY_KIND_COUNT, AT(source_waiting), 1, COUNT_MAX, "256", false, NULL,
      "connections of one source whose first message, or whose token's verdict, is due" },
    { "debug_tap", "debug-tap", "ROOM", RELAY_KIND_TEXT, AT(debug_tap), 1, ROOM_MAX_BYTES, NULL, true, NULL,
      "log the header of each media packet of this room (\"*\": of all), at most 200 a second" },
    { "log_level", "log-level", "LEVEL", RELAY_KIND_LEVEL, AT(log_level), 0, 0, "info", false, NULL,
      "error, warn, info or debug" },
    { "json_log", "json-log", NULL, RELAY_KIND_FLAG, AT(json_log), 0, 0, "false", false, NULL,
      "one JSON object a line; also used when standard error is not a terminal" },

    { "jitter_target_depth", NULL, NULL, RELAY_KIND_IGNORED, 0, 0, 0, NULL, false, NULL, NULL },
    { "jitter_max_depth", NULL, NULL, RELAY_KIND_IGNORED, 0, 0, 0, NULL, false, NULL, NULL },
    { "remote_relay", "remote", "ADDR", RELAY_KIND_TEXT, 0, 0, 0, NULL, false, NO_FORWARD, NULL },
    { "probe_targets", "probe", "ADDR", RELAY_KIND_LIST, 0, 0, 0, NULL, false, NO_PROBES, NULL },
    { "probe_mesh", "probe-mesh", NULL, RELAY_KIND_FLAG, 0, 0, 0, NULL, false, NO_PROBES, NULL },
    { "trunking_enabled", "trunking", NULL, RELAY_KIND_FLAG, 0, 0, 0, NULL, false, NO_TRUNKS, NULL },
    { "ws_port", "ws-port", "N", RELAY_KIND_COUNT, 0, 0, 0, NULL, false, NO_WEB, NULL },
    { "static_dir", "static-dir", "DIR", RELAY_KIND_TEXT, 0, 0, 0, NULL, false, NO_WEB, NULL },
    { NULL, "global-room", "NAME", RELAY_KIND_TEXT, 0, 0, 0, NULL, false, NO_FEDERATION, NULL },
    { NULL, "mesh-status", NULL, RELAY_KIND_FLAG, 0, 0, 0, NULL, false, NO_PROBES, NULL },
    { NULL, "event-log", "FILE", RELAY_KIND_TEXT, 0, 0, 0, NULL, false, NO_EVENT_LOG, NULL },
};

size_t relay_setting_count(void)
{
    return sizeof settings_table / sizeof settings_table[0];
}

const struct relay_setting *relay_setting_at(size_t i)
{
    return &settings_table[i];
}

const char *relay_setting_name(const struct relay_setting *setting)
{
    return setting->name;
}

const char *relay_setting_flag(const struct relay_setting *setting)
{
    return setting->flag;
}

bool relay_setting_flag_takes_value(const struct relay_setting *setting)
{
    return setting->placeholder != NULL;
}

const char *relay_setting_unserved(const struct relay_setting *setting)
{
    return setting->unserved;
}

bool relay_setting_is_live(const struct relay_setting *setting)
{
    return setting->is_live;
}

static void *member(const struct relay_setting *setting, struct relay_settings *settings)
{
    return (char *)settings + setting->offset;
}

static const void *member_const(const struct relay_setting *setting, const struct relay_settings *settings)
{
    return (const char *)settings + setting->offset;
}

/* ---- values ---- */

/** "IP:PORT", "[IP6]:PORT" or a bare IP with the default port. */
static int parse_address(const char *text, struct wz_addr *ret)
{
    if (wz_addr_parse(text, ret) == 0)
        return 0;
    return wz_addr_parse_ip(text, DEFAULT_PORT, ret);
}

static int set_address(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                       char expected[static RELAY_MISTAKE_TEXT])
{
    struct wz_addr addr;
    const bool is_public = setting->kind == RELAY_KIND_PUBLIC;
    const bool needs_port = setting->kind == RELAY_KIND_METRICS_LISTEN;
    const int err = needs_port ? wz_addr_parse(text, &addr) : parse_address(text, &addr);
    if (!err && !(is_public && wz_addr_is_any(&addr))) {
        *(struct wz_addr *)member(setting, settings) = addr;
        return 0;
    }
    (void)snprintf(expected, RELAY_MISTAKE_TEXT, "%s%s", needs_port ? "IP:PORT" : "IP[:PORT]",
                   is_public ? " (no host name: clients read it as a literal)" : "");
    return -EINVAL;
}

static int set_text(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                    char expected[static RELAY_MISTAKE_TEXT])
{
    const size_t len = strlen(text);
    char **target = member(setting, settings);
    if (len < setting->min || len > setting->max) {
        (void)snprintf(expected, RELAY_MISTAKE_TEXT, "%u..%u characters", setting->min, setting->max);
        return -EINVAL;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*target);
    *target = copy;
    return 0;
}

static int set_url(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                   char expected[static RELAY_MISTAKE_TEXT])
{
    char **target = member(setting, settings);
    if (!wz_http_post_takes_url(text)) {
        (void)snprintf(expected, RELAY_MISTAKE_TEXT, "http://HOST[:PORT]/PATH or https://...");
        return -EINVAL;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*target);
    *target = copy;
    return 0;
}

static int set_level(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                     char expected[static RELAY_MISTAKE_TEXT])
{
    enum wz_log_level level;
    /* The reference knows one level more. */
    if (wz_log_level_parse(strcmp(text, "trace") == 0 ? "debug" : text, &level) == 0) {
        *(enum wz_log_level *)member(setting, settings) = level;
        return 0;
    }
    (void)snprintf(expected, RELAY_MISTAKE_TEXT, "error, warn, info or debug");
    return -EINVAL;
}

int relay_setting_set_integer(const struct relay_setting *setting, struct relay_settings *settings, int64_t value,
                              char expected[static RELAY_MISTAKE_TEXT])
{
    if (value < setting->min || value > setting->max) {
        (void)snprintf(expected, RELAY_MISTAKE_TEXT, "%u..%u", setting->min, setting->max);
        return -EINVAL;
    }
    if (setting->kind == RELAY_KIND_METRICS_PORT)
        return wz_addr_parse_ip("127.0.0.1", (uint16_t)value, member(setting, settings));
    *(unsigned *)member(setting, settings) = (unsigned)value;
    return 0;
}

int relay_setting_set_flag(const struct relay_setting *setting, struct relay_settings *settings, bool value)
{
    *(bool *)member(setting, settings) = value;
    return 0;
}

int relay_setting_set_text(const struct relay_setting *setting, struct relay_settings *settings, const char *text,
                           char ret_expected[static RELAY_MISTAKE_TEXT])
{
    switch (setting->kind) {
    case RELAY_KIND_LISTEN:
    case RELAY_KIND_PUBLIC:
    case RELAY_KIND_METRICS_LISTEN:
        return set_address(setting, settings, text, ret_expected);
    case RELAY_KIND_TEXT:
        return set_text(setting, settings, text, ret_expected);
    case RELAY_KIND_URL:
        return set_url(setting, settings, text, ret_expected);
    case RELAY_KIND_LEVEL:
        return set_level(setting, settings, text, ret_expected);
    case RELAY_KIND_COUNT:
    case RELAY_KIND_METRICS_PORT: {
        char *end;
        const bool starts_with_digit = text[0] >= '0' && text[0] <= '9';
        errno = 0;
        const long long value = strtoll(text, &end, 10);
        return relay_setting_set_integer(setting, settings, starts_with_digit && !*end && !errno ? value : -1,
                                         ret_expected);
    }
    case RELAY_KIND_FLAG:
        return relay_setting_set_flag(setting, settings, true);
    case RELAY_KIND_IGNORED:
    case RELAY_KIND_LIST:
        break; /* in files only */
    }
    (void)snprintf(ret_expected, RELAY_MISTAKE_TEXT, "nothing");
    return -EINVAL;
}

bool relay_setting_differs(const struct relay_setting *setting, const struct relay_settings *a,
                           const struct relay_settings *b)
{
    const void *in_a = member_const(setting, a), *in_b = member_const(setting, b);
    if (setting->unserved || setting->kind == RELAY_KIND_IGNORED)
        return false;
    switch (setting->kind) {
    case RELAY_KIND_LISTEN:
    case RELAY_KIND_PUBLIC:
    case RELAY_KIND_METRICS_PORT:
    case RELAY_KIND_METRICS_LISTEN:
        return !wz_addr_equal(in_a, in_b);
    case RELAY_KIND_TEXT:
    case RELAY_KIND_URL: {
        const char *text_a = *(char *const *)in_a, *text_b = *(char *const *)in_b;
        return text_a && text_b ? strcmp(text_a, text_b) != 0 : text_a != text_b;
    }
    case RELAY_KIND_COUNT:
        return *(const unsigned *)in_a != *(const unsigned *)in_b;
    case RELAY_KIND_FLAG:
        return *(const bool *)in_a != *(const bool *)in_b;
    case RELAY_KIND_LEVEL:
        return *(const enum wz_log_level *)in_a != *(const enum wz_log_level *)in_b;
    case RELAY_KIND_IGNORED:
    case RELAY_KIND_LIST:
        break;
    }
    return false;
}

/* ---- all of them ---- */

int relay_settings_init(struct relay_settings *settings)
{
    char expected[RELAY_MISTAKE_TEXT];
    *settings = (struct relay_settings){ 0 };
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = &settings_table[i];
        int err = 0;
        if (setting->default_text && setting->kind == RELAY_KIND_FLAG)
            err = relay_setting_set_flag(setting, settings, strcmp(setting->default_text, "true") == 0);
        else if (setting->default_text)
            err = relay_setting_set_text(setting, settings, setting->default_text, expected);
        if (err) {
            relay_settings_done(settings);
            return err;
        }
    }
    return 0;
}

void relay_settings_done(struct relay_settings *settings)
{
    free(settings->identity);
    free(settings->auth_url);
    free(settings->debug_tap);
    *settings = (struct relay_settings){ 0 };
}

/** Words of text from *pos on that fit a line; 0 at the end. */
static int take_words(const char **pos, int width)
{
    int len = 0;
    while (**pos == ' ')
        ++*pos;
    for (int i = 0; (*pos)[i] && i <= width; i++)
        if (!(*pos)[i + 1] || (*pos)[i + 1] == ' ')
            len = i + 1;
    return len;
}

void relay_setting_print_wrapped(FILE *out, const char *text, const char *before, int width)
{
    int len;
    for (const char *pos = text; (len = take_words(&pos, width)) > 0; pos += len)
        (void)fprintf(out, "%s%.*s\n", before, len, pos);
}

void relay_settings_print_flags(FILE *out)
{
    for (size_t i = 0; i < relay_setting_count(); i++) {
        const struct relay_setting *setting = &settings_table[i];
        if (!setting->flag || setting->unserved)
            continue;
        (void)fprintf(out, "  %s --%s%s%s\n", strcmp(setting->flag, "identity") == 0 ? "-i," : "   ", setting->flag,
                      setting->placeholder ? " " : "", setting->placeholder ? setting->placeholder : "");
        relay_setting_print_wrapped(out, setting->help, "             ", 80);
        if (setting->default_text && setting->placeholder)
            (void)fprintf(out, "             (default %s)\n", setting->default_text);
    }
}
