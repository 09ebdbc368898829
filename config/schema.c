/* Every setting there is. See schema.h. */
#include "config/schema.h"

#include <string.h>

#include "config/check.h"
#include "config/config.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX    DIGITS "abcdefABCDEF"

/** What a SIP user part holds without escaping. */
#define NAME_CHARS LOWER UPPER DIGITS "-_.+~*#"
/** What a telephone can dial. */
#define NUMBER_CHARS DIGITS "+*#"
/** Stands inside a quoted string of a SIP header. */
#define REALM_CHARS LOWER UPPER DIGITS "-_.@+~ "

#define USERS_MAX     10000
#define DIRECTORY_MAX 100000
#define STUN_MAX      8
#define PATH_MAX_LEN  1023
/** sockaddr_un.sun_path less its NUL. */
#define SOCKET_PATH_MAX_LEN 107

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define AT(s, member) .offset = offsetof(struct s, member)

static const char *const privacy_names[] = { "trusted", "generic", NULL };
static const char *const digest_names[] = { "md5", "sha256", "both", NULL };
static const char *const profile_names[] = { "good",   "studio-32k",  "studio-48k",  "studio-64k", "opus16k",
                                             "opus6k", "codec2-3200", "codec2-1200", NULL };
static const char *const adaptive_names[] = { "yes", "no", "reference", NULL };
static const char *const level_names[] = { "error", "warn", "info", "debug", NULL };
static const char *const format_names[] = { "auto", "text", "json", NULL };

static const struct cfg_field sip_fields[] = {
    { .name = "listen",
      .kind = CFG_LISTEN,
      AT(cfg_sip, listen),
      .default_text = "0.0.0.0:5060",
      .help = "Where phones reach the gateway." },
    { .name = "udp", .kind = CFG_BOOL, AT(cfg_sip, udp), .default_text = "yes", .help = "Accept SIP over UDP." },
    { .name = "tcp", .kind = CFG_BOOL, AT(cfg_sip, tcp), .default_text = "yes", .help = "Accept SIP over TCP." },
    { .name = "realm",
      .kind = CFG_TEXT,
      AT(cfg_sip, realm),
      .min = 1,
      .max = 63,
      .chars = REALM_CHARS,
      .default_text = "wzp",
      .help = "Named in password challenges; stored ha1 values depend on it." },
    { .name = "public_address",
      .kind = CFG_IP,
      AT(cfg_sip, public_address),
      .help = "The address phones see when the gateway stands behind NAT or in a container." },
    { .name = "min_expires",
      .kind = CFG_UINT,
      AT(cfg_sip, min_expires_s),
      .min = 10,
      .max = 86400,
      .unit = "s",
      .default_text = "60",
      .help = "Shortest registration granted; shorter ones are answered 423." },
    { .name = "max_expires",
      .kind = CFG_UINT,
      AT(cfg_sip, max_expires_s),
      .min = 10,
      .max = 604800,
      .unit = "s",
      .default_text = "3600",
      .help = "Longest registration granted; longer ones are shortened." },
    { .name = "ring_timeout",
      .kind = CFG_UINT,
      AT(cfg_sip, ring_timeout_s),
      .min = 5,
      .max = 600,
      .unit = "s",
      .default_text = "60",
      .help = "A call that nobody answers ends after this long." },
};
static const struct cfg_schema sip_schema = {
    .size = sizeof(struct cfg_sip), .field = sip_fields, .count = COUNT(sip_fields), .check = cfg_check_sip
};

static const struct cfg_field media_fields[] = {
    { .name = "ports_first",
      .kind = CFG_UINT,
      AT(cfg_media, ports_first),
      .min = 1024,
      .max = 65534,
      .default_text = "10000",
      .help = "First UDP port for RTP and RTCP." },
    { .name = "ports_last",
      .kind = CFG_UINT,
      AT(cfg_media, ports_last),
      .min = 1025,
      .max = 65535,
      .default_text = "10063",
      .help = "Last of them; a call takes two." },
    { .name = "public_address",
      .kind = CFG_IP,
      AT(cfg_media, public_address),
      .help = "The address written into SDP; absent: the one the phone's call arrived on." },
    { .name = "jitter_target_ms",
      .kind = CFG_UINT,
      AT(cfg_media, jitter_target_ms),
      .min = 0,
      .max = 500,
      .unit = "ms",
      .default_text = "40",
      .help = "Delay the jitter buffer starts with." },
    { .name = "jitter_max_ms",
      .kind = CFG_UINT,
      AT(cfg_media, jitter_max_ms),
      .min = 20,
      .max = 2000,
      .unit = "ms",
      .default_text = "200",
      .help = "Delay it may grow to on a bad network." },
    { .name = "opus_complexity",
      .kind = CFG_UINT,
      AT(cfg_media, opus_complexity),
      .min = 0,
      .max = 10,
      .default_text = "5",
      .help = "CPU spent on encoding Opus." },
    { .name = "profile",
      .kind = CFG_ENUM,
      AT(cfg_media, profile),
      .names = profile_names,
      .default_text = "good",
      .help = "What we send towards WZP when we encode; good is Opus at 24 kbit/s." },
    { .name = "adaptive",
      .kind = CFG_ENUM,
      AT(cfg_media, adaptive),
      .names = adaptive_names,
      .default_text = "yes",
      .help = "Send less than the profile while the path loses packets or is congested; reference: for a distant relay "
              "too, as other makers' clients do." },
    { .name = "suppress_silence",
      .kind = CFG_BOOL,
      AT(cfg_media, suppress_silence),
      .default_text = "no",
      .help = "Send comfort noise towards WZP while a phone is silent." },
    { .name = "timeout",
      .kind = CFG_UINT,
      AT(cfg_media, timeout_s),
      .min = 0,
      .max = 3600,
      .unit = "s",
      .default_text = "30",
      .help = "A call without any media for this long is ended; 0: never." },
};
static const struct cfg_schema media_schema = {
    .size = sizeof(struct cfg_media), .field = media_fields, .count = COUNT(media_fields), .check = cfg_check_media
};

static const struct cfg_field stun_field[] = {
    { .name = "", .kind = CFG_HOST, AT(cfg_host, host), .min = 3478 },
};
static const struct cfg_schema stun_schema = {
    .size = sizeof(struct cfg_host), .field = stun_field, .count = COUNT(stun_field), .is_scalar = true
};

static const struct cfg_field relay_fields[] = {
    { .name = "embedded",
      .kind = CFG_BOOL,
      AT(cfg_relay, embedded),
      .default_text = "yes",
      .help = "Run a relay inside the gateway; \"no\" when connect names another one." },
    { .name = "listen",
      .kind = CFG_LISTEN,
      AT(cfg_relay, listen),
      .default_text = "0.0.0.0:4433",
      .help = "Where WZP clients reach the embedded relay." },
    { .name = "connect",
      .kind = CFG_HOST,
      AT(cfg_relay, connect),
      .min = 4433,
      .help = "Use this relay instead of the embedded one." },
    { .name = "public_address",
      .kind = CFG_IP_PORT,
      AT(cfg_relay, public_address),
      .help = "The relay address told to both sides of a call; absent: the one each of them connected to." },
    { .name = "max_sessions",
      .kind = CFG_UINT,
      AT(cfg_relay, max_sessions),
      .min = 2,
      .max = 1000000,
      .default_text = "1000",
      .help = "Most participants in media rooms at once." },
    { .name = "identity",
      .kind = CFG_TEXT,
      .flags = CFG_IN_DATA_DIR,
      AT(cfg_relay, identity_path),
      .min = 1,
      .max = PATH_MAX_LEN,
      .default_text = "relay.seed",
      .help = "Seed file of the embedded relay, made at first use." },
    { .name = "stun",
      .kind = CFG_LIST,
      AT(cfg_relay, stun),
      .max = STUN_MAX,
      .sub = &stun_schema,
      .help = "STUN servers asked for our public address." },
    { .name = "share_local_addrs",
      .kind = CFG_BOOL,
      AT(cfg_relay, share_local_addrs),
      .default_text = "yes",
      .help = "Tell trusted peers the addresses of our interfaces, for a direct path inside one network." },
    { .name = "public_reflexive",
      .kind = CFG_IP_PORT,
      AT(cfg_relay, public_reflexive),
      .help = "Our public address for direct paths, if a fixed port mapping exists." },
    { .name = "direct",
      .kind = CFG_BOOL,
      AT(cfg_relay, direct),
      .default_text = "yes",
      .help = "Let calls go straight to the peer where that works; \"no\": media always takes the relay." },
    { .name = "strict",
      .kind = CFG_BOOL,
      AT(cfg_relay, strict),
      .default_text = "no",
      .help = "Only signed offers and answers, which other makers' clients do not send; and the relay must show the "
              "certificate and key that it showed first." },
    { .name = "pins",
      .kind = CFG_TEXT,
      .flags = CFG_IN_DATA_DIR,
      AT(cfg_relay, pins_path),
      .min = 1,
      .max = PATH_MAX_LEN,
      .default_text = "relay-pins",
      .help = "strict: the file of what relays showed first; remove a relay's line when it was changed on purpose." },
};
static const struct cfg_schema relay_schema = { .size = sizeof(struct cfg_relay),
                                                .field = relay_fields,
                                                .count = COUNT(relay_fields) };

static const struct cfg_field user_fields[] = {
    { .name = "name",
      .kind = CFG_TEXT,
      .flags = CFG_REQUIRED | CFG_UNIQUE,
      AT(cfg_user, name),
      .min = 1,
      .max = 63,
      .chars = NAME_CHARS,
      .help = "The SIP user name." },
    { .name = "password",
      .kind = CFG_SECRET,
      AT(cfg_user, password),
      .min = 1,
      .max = 127,
      .help = "The SIP password, or env:NAME, or file:PATH." },
    { .name = "ha1",
      .kind = CFG_SECRET,
      AT(cfg_user, ha1),
      .min = 32,
      .max = 32,
      .chars = HEX,
      .help = "MD5 of name:realm:password in hex, instead of a password." },
    { .name = "alias",
      .kind = CFG_TEXT,
      AT(cfg_user, alias),
      .min = 1,
      .max = 63,
      .help = "Name that WZP users see, and that can be dialled." },
    { .name = "number",
      .kind = CFG_TEXT,
      AT(cfg_user, number),
      .min = 1,
      .max = 31,
      .chars = NUMBER_CHARS,
      .help = "Number that can be dialled." },
    { .name = "display_name",
      .kind = CFG_TEXT,
      AT(cfg_user, display_name),
      .min = 1,
      .max = 63,
      .help = "Name shown on called phones; absent: the alias." },
    { .name = "privacy",
      .kind = CFG_ENUM,
      AT(cfg_user, privacy),
      .names = privacy_names,
      .default_text = "trusted",
      .help = "generic: never tell WZP peers our addresses, media always takes the relay." },
    { .name = "digest",
      .kind = CFG_ENUM,
      AT(cfg_user, digest),
      .names = digest_names,
      .default_text = "md5",
      .help = "Password challenge; both: SHA-256 first, then MD5 (some phones fail on two)." },
    { .name = "seed",
      .kind = CFG_SEED,
      AT(cfg_user, seed),
      .help = "WZP seed of this user, 64 hex digits, or env:NAME, or file:PATH; absent: derived from the "
              "gateway's." },
    { .name = "max_calls",
      .kind = CFG_UINT,
      AT(cfg_user, max_calls),
      .min = 1,
      .max = 1000,
      .default_text = "5",
      .help = "Calls at once." },
};
static const struct cfg_schema user_schema = {
    .size = sizeof(struct cfg_user), .field = user_fields, .count = COUNT(user_fields), .check = cfg_check_user
};

static const struct cfg_field contact_fields[] = {
    { .name = "alias", .kind = CFG_TEXT, AT(cfg_contact, alias), .min = 1, .max = 63, .help = "Name to dial." },
    { .name = "number",
      .kind = CFG_TEXT,
      AT(cfg_contact, number),
      .min = 1,
      .max = 31,
      .chars = NUMBER_CHARS,
      .help = "Number to dial." },
    { .name = "fingerprint",
      .kind = CFG_FINGERPRINT,
      .flags = CFG_REQUIRED,
      AT(cfg_contact, fingerprint),
      .help = "Whom it reaches." },
};
static const struct cfg_schema contact_schema = { .size = sizeof(struct cfg_contact),
                                                  .field = contact_fields,
                                                  .count = COUNT(contact_fields),
                                                  .check = cfg_check_contact };

static const struct cfg_field store_fields[] = {
    { .name = "path",
      .kind = CFG_TEXT,
      .flags = CFG_IN_DATA_DIR,
      AT(cfg_store, path),
      .min = 1,
      .max = PATH_MAX_LEN,
      .default_text = "gateway.db",
      .help = "SQLite file for registrations and call records." },
};
static const struct cfg_schema store_schema = { .size = sizeof(struct cfg_store),
                                                .field = store_fields,
                                                .count = COUNT(store_fields) };

static const struct cfg_field log_fields[] = {
    { .name = "level",
      .kind = CFG_ENUM,
      AT(cfg_log, level),
      .names = level_names,
      .default_text = "info",
      .help = "debug shows every message." },
    { .name = "format",
      .kind = CFG_ENUM,
      AT(cfg_log, format),
      .names = format_names,
      .default_text = "auto",
      .help = "auto: text on a terminal, JSON otherwise." },
};
static const struct cfg_schema log_schema = { .size = sizeof(struct cfg_log),
                                              .field = log_fields,
                                              .count = COUNT(log_fields) };

static const struct cfg_field admin_fields[] = {
    { .name = "socket",
      .kind = CFG_TEXT,
      .flags = CFG_IN_DATA_DIR,
      AT(cfg_admin, socket_path),
      .min = 1,
      .max = SOCKET_PATH_MAX_LEN,
      .default_text = "ctl.sock",
      .help = "Unix socket that wzpctl talks to." },
    { .name = "http",
      .kind = CFG_LISTEN,
      AT(cfg_admin, http),
      .help = "Also serve health and metrics over HTTP here; loopback addresses only." },
};
static const struct cfg_schema admin_schema = {
    .size = sizeof(struct cfg_admin), .field = admin_fields, .count = COUNT(admin_fields), .check = cfg_check_admin
};

static const struct cfg_field echo_fields[] = {
    { .name = "enabled",
      .kind = CFG_BOOL,
      AT(cfg_echo, enabled),
      .default_text = "yes",
      .help = "Keep a WZP user that plays back what it hears, over the relay." },
    { .name = "number",
      .kind = CFG_TEXT,
      AT(cfg_echo, number),
      .min = 1,
      .max = 31,
      .chars = NUMBER_CHARS,
      .default_text = "*43",
      .help = "The number that reaches it." },
};
static const struct cfg_schema echo_schema = { .size = sizeof(struct cfg_echo),
                                               .field = echo_fields,
                                               .count = COUNT(echo_fields) };

static const struct cfg_field identity_fields[] = {
    { .name = "seed_file",
      .kind = CFG_TEXT,
      .flags = CFG_IN_DATA_DIR,
      AT(cfg_identity, seed_path),
      .min = 1,
      .max = PATH_MAX_LEN,
      .default_text = "gateway.seed",
      .help = "Master seed that users' seeds are derived from, made at first use." },
};
static const struct cfg_schema identity_schema = { .size = sizeof(struct cfg_identity),
                                                   .field = identity_fields,
                                                   .count = COUNT(identity_fields) };

static const struct cfg_field root_fields[] = {
    { .name = "data_dir",
      .kind = CFG_TEXT,
      AT(cfg, data_dir),
      .min = 1,
      .max = 90,
      .default_text = "wzp-data",
      .help = "Directory for seeds, the database and the control socket." },
    { .name = "sip", .kind = CFG_GROUP, AT(cfg, sip), .sub = &sip_schema, .help = "The telephone side." },
    { .name = "media", .kind = CFG_GROUP, AT(cfg, media), .sub = &media_schema, .help = "Audio." },
    { .name = "relay", .kind = CFG_GROUP, AT(cfg, relay), .sub = &relay_schema, .help = "The WZP side." },
    { .name = "users",
      .kind = CFG_LIST,
      AT(cfg, users),
      .max = USERS_MAX,
      .sub = &user_schema,
      .help = "SIP users; each is a WZP user too." },
    { .name = "directory",
      .kind = CFG_LIST,
      AT(cfg, directory),
      .max = DIRECTORY_MAX,
      .sub = &contact_schema,
      .help = "WZP users that phones can dial by name or number." },
    { .name = "store", .kind = CFG_GROUP, AT(cfg, store), .sub = &store_schema, .help = "The database." },
    { .name = "log", .kind = CFG_GROUP, AT(cfg, log), .sub = &log_schema, .help = "Log lines." },
    { .name = "admin", .kind = CFG_GROUP, AT(cfg, admin), .sub = &admin_schema, .help = "The operator's door." },
    { .name = "echo", .kind = CFG_GROUP, AT(cfg, echo), .sub = &echo_schema, .help = "The built-in echo." },
    { .name = "identity",
      .kind = CFG_GROUP,
      AT(cfg, identity),
      .sub = &identity_schema,
      .help = "The gateway's own keys." },
};
const struct cfg_schema cfg_schema = {
    .size = sizeof(struct cfg), .field = root_fields, .count = COUNT(root_fields), .check = cfg_check_whole
};

const struct cfg_field *cfg_schema_find(const struct cfg_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp(schema->field[i].name, name) == 0)
            return &schema->field[i];
    return NULL;
}
