/* The gateway's configuration: one YAML file in, one immutable struct out, or the list of everything wrong with it.
 * config/schema.c is the only place that knows names, types, ranges, defaults and help of the settings.
 * Thread: any; a loaded struct cfg is never changed. Times and sizes carry their unit in the member's name. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"
#include "wzp/base/bytes.h"
#include "wzp/base/rng.h"

/** Largest file we read: 10,000 users take about 2 MB. */
#define CFG_FILE_MAX_BYTES (16u * 1024 * 1024)
#define CFG_SEED_BYTES     32
/** "xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx" and NUL. */
#define CFG_FINGERPRINT_TEXT 40
/** Mistakes kept; further ones are only counted. */
#define CFG_MISTAKES_MAX 500

/* Texts are NULL and addresses have family NONE when the setting is absent and has no default. */

struct cfg_host {
    char *host; /**< a name or an IP literal without brackets; NULL: none */
    uint16_t port;
};

struct cfg_hosts {
    struct cfg_host *item;
    size_t count;
};

struct cfg_seed {
    bool is_given;
    uint8_t bytes[CFG_SEED_BYTES];
};

enum cfg_privacy { CFG_PRIVACY_TRUSTED, CFG_PRIVACY_GENERIC };
enum cfg_digest { CFG_DIGEST_MD5, CFG_DIGEST_SHA256, CFG_DIGEST_BOTH };
enum cfg_profile {
    CFG_PROFILE_GOOD,
    CFG_PROFILE_STUDIO_32K,
    CFG_PROFILE_STUDIO_48K,
    CFG_PROFILE_STUDIO_64K,
    CFG_PROFILE_OPUS16K,
    CFG_PROFILE_OPUS6K,
    CFG_PROFILE_CODEC2_3200,
    CFG_PROFILE_CODEC2_1200,
};
enum cfg_adaptive { CFG_ADAPTIVE_YES, CFG_ADAPTIVE_NO, CFG_ADAPTIVE_REFERENCE };
enum cfg_log_level { CFG_LOG_ERROR, CFG_LOG_WARN, CFG_LOG_INFO, CFG_LOG_DEBUG };
enum cfg_log_format { CFG_LOG_AUTO, CFG_LOG_TEXT, CFG_LOG_JSON };

struct cfg_sip {
    struct wz_addr listen;
    bool udp;
    bool tcp;
    char *realm;
    struct wz_addr public_address; /**< IP only, port 0 */
    uint32_t min_expires_s;
    uint32_t max_expires_s;
    uint32_t ring_timeout_s;
};

struct cfg_media {
    uint32_t ports_first;
    uint32_t ports_last;           /**< inclusive */
    struct wz_addr public_address; /**< IP only, port 0 */
    uint32_t jitter_target_ms;
    uint32_t jitter_max_ms;
    uint32_t opus_complexity;
    enum cfg_profile profile; /**< the best that we send towards WZP */
    enum cfg_adaptive adaptive;
    bool suppress_silence;
    uint32_t timeout_s; /**< a call without media for so long is ended; 0: never */
};

struct cfg_relay {
    bool embedded; /**< run our own relay; false when connect names another one */
    struct wz_addr listen;
    struct cfg_host connect;
    struct wz_addr public_address; /**< told to callers; port 0: the listening port */
    uint32_t max_sessions;
    char *identity_path;
    struct cfg_hosts stun;
    bool share_local_addrs;
    struct wz_addr public_reflexive; /**< our NAT mapping, if it is fixed; port 0: that of the socket */
    bool direct;                     /**< calls may take a path past the relay */
    bool strict;                     /**< signed offers and answers only; relays must stay who they were */
    char *pins_path;                 /**< strict: what relays showed first */
};

struct cfg_user {
    char *name;
    char *password; /**< this or ha1 */
    char *ha1;      /**< 32 hex digits: MD5(name:realm:password) */
    char *alias;
    char *number;
    char *display_name;
    enum cfg_privacy privacy;
    enum cfg_digest digest;
    struct cfg_seed seed;
    uint32_t max_calls;
};

struct cfg_users {
    struct cfg_user *item;
    size_t count;
};

/** Somebody in the WZP world who can be dialled by alias or number. */
struct cfg_contact {
    char *alias; /**< at least one of the two is there */
    char *number;
    char fingerprint[CFG_FINGERPRINT_TEXT];
};

struct cfg_directory {
    struct cfg_contact *item;
    size_t count;
};

struct cfg_store {
    char *path;
};

struct cfg_log {
    enum cfg_log_level level;
    enum cfg_log_format format;
};

struct cfg_admin {
    char *socket_path;
    struct wz_addr http; /**< loopback only */
};

struct cfg_echo {
    bool enabled;
    char *number;
};

struct cfg_identity {
    char *seed_path;
};

struct cfg {
    char *data_dir;
    struct cfg_sip sip;
    struct cfg_media media;
    struct cfg_relay relay;
    struct cfg_users users;
    struct cfg_directory directory;
    struct cfg_store store;
    struct cfg_log log;
    struct cfg_admin admin;
    struct cfg_echo echo;
    struct cfg_identity identity;
};

/** One thing wrong with the file. line and col count from 1. */
struct cfg_mistake {
    unsigned line;
    unsigned col;
    char path[96];  /**< "users[2].number"; "" for the file as a whole */
    char text[320]; /**< the reason; holds no secret */
};

/** Sorted by position. */
struct cfg_mistakes {
    struct cfg_mistake *item;
    size_t count;
    size_t dropped; /**< beyond CFG_MISTAKES_MAX */
};

/** Where "env:NAME" and "file:PATH" lead. */
struct cfg_secret_source {
    /** The secret's text, malloc'd, or negative errno: -ENOENT, -EACCES, -EFBIG, ... */
    int (*read_env)(void *arg, const char *name, char **ret);
    int (*read_file)(void *arg, const char *path, char **ret);
    void *arg;
};

/** The process environment and the file system. */
extern const struct cfg_secret_source cfg_secrets_system;

/**
 * Load and check a file.
 *
 * @param ret       Written on success only; cfg_free().
 * @param mistakes  Always written; cfg_mistakes_done().
 * @return          0; -EINVAL: see mistakes; -ENOENT, -EACCES, -EISDIR, ...: the file cannot be read; -EFBIG;
 *                  -ENOMEM.
 */
int cfg_load(const char *path, struct cfg **ret, struct cfg_mistakes *mistakes);
/** The same for text in memory, borrowed for the call. secrets NULL: references are taken as text unread. */
int cfg_parse(struct wz_bytes text, const struct cfg_secret_source *secrets, struct cfg **ret,
              struct cfg_mistakes *mistakes);
/** NULL-safe. Wipes passwords and seeds. */
void cfg_free(struct cfg *cfg);
void cfg_mistakes_done(struct cfg_mistakes *mistakes);

/** "file:line:col: path: reason" of one mistake. malloc'd, NULL: no memory. */
char *cfg_mistake_text(const char *file, const struct cfg_mistake *mistake);

/** Every setting with its value in force, as YAML, secrets hidden. malloc'd, NULL: no memory. */
char *cfg_to_text(const struct cfg *cfg);
/** Every setting with type, range, default and help, for the manual. malloc'd, NULL: no memory. */
char *cfg_manual(void);

const struct cfg_user *cfg_user_by_name(const struct cfg *cfg, const char *name);

/** A commented configuration with users alice (1001) and bob (1002). malloc'd, NULL: no memory. */
char *cfg_example_text(const char *alice_password, const char *bob_password);
/** Write one with fresh random passwords, mode 0600. 0, -EEXIST (never overwrites) or another negative errno. */
int cfg_write_example(const char *path, const struct wz_rng *rng);

#endif
