/* The catalogue of signals as data: one row per field, in the order in which it is written. Decoder, encoder
 * and destructor walk these tables. Private to wzp/core/signal*.c and their tests. Spec: docs/wzp-wire.md
 * "Signals". */
#ifndef WZP_CORE_SIGNAL_TABLE_H
#define WZP_CORE_SIGNAL_TABLE_H

#include "wzp/core/signal.h"

enum wzp_field_type {
    WZP_FIELD_TEXT,         /**< char * */
    WZP_FIELD_BOOL,         /**< bool */
    WZP_FIELD_U8,           /**< uint8_t */
    WZP_FIELD_U32,          /**< uint32_t */
    WZP_FIELD_U64,          /**< uint64_t */
    WZP_FIELD_RATIO,        /**< float */
    WZP_FIELD_CODEC,        /**< enum wzp_codec */
    WZP_FIELD_REASON,       /**< enum wzp_hangup_reason */
    WZP_FIELD_MODE,         /**< enum wzp_accept_mode */
    WZP_FIELD_IDENTITY,     /**< the identity key of a struct wzp_signed_keys */
    WZP_FIELD_EPHEMERAL,    /**< the ephemeral key of a struct wzp_signed_keys */
    WZP_FIELD_SIGNATURE,    /**< the signature of a struct wzp_signed_keys */
    WZP_FIELD_PROFILE,      /**< struct wzp_profile; extra: bool has_profile when elidable */
    WZP_FIELD_REPORT,       /**< struct wzp_quality_report */
    WZP_FIELD_PROFILES,     /**< struct wzp_profile[WZP_SIGNAL_MAX_PROFILES]; extra: size_t count */
    WZP_FIELD_ADDRS,        /**< struct wzp_addr_list */
    WZP_FIELD_PARTICIPANTS, /**< struct wzp_participant *; extra: size_t count */
    WZP_FIELD_TEXTS,        /**< char **; extra: size_t count */
    WZP_FIELD_SIGNAL,       /**< struct wzp_signal * */
};

/** What absence means, read and written. */
enum wzp_field_need {
    WZP_NEED_REQUIRED,  /**< missing or null is an error */
    WZP_NEED_NULLABLE,  /**< missing or null is absent; absent is written as null */
    WZP_NEED_ELIDABLE,  /**< missing or null is absent; absent is left out */
    WZP_NEED_LIST,      /**< missing is empty, null is an error; empty is left out */
    WZP_NEED_DEFAULTED, /**< missing is the zero value, null is an error; always written */
};

struct wzp_field {
    const char *name;
    enum wzp_field_type type;
    enum wzp_field_need need;
    size_t offset; /**< of the value within the object */
    size_t extra;  /**< of the count or flag that belongs to it */
};

struct wzp_fields {
    const struct wzp_field *row;
    size_t count;
};

struct wzp_variant {
    const char *name;
    bool is_unit; /**< a bare JSON string */
    struct wzp_fields fields;
};

/** Indexed by enum wzp_signal_kind; WZP_SIG_UNKNOWN has no fields. Offsets are within struct wzp_signal. */
extern const struct wzp_variant wzp_variants[WZP_SIG_KIND_COUNT];

/* Objects inside messages. Offsets count from the struct. */
extern const struct wzp_fields wzp_profile_fields, wzp_report_fields, wzp_participant_fields;

/** WZP_SIG_UNKNOWN when there is none of that name. */
enum wzp_signal_kind wzp_signal_kind_parse(const char *name);
/** 0 or -EBADMSG. */
int wzp_hangup_reason_parse(const char *name, enum wzp_hangup_reason *ret);
int wzp_accept_mode_parse(const char *name, enum wzp_accept_mode *ret);

/** Free what the fields own within object; the object is left as it is. */
void wzp_fields_free(struct wzp_fields fields, void *object);

/** Typed view of the member at offset. */
#define WZP_MEMBER(object, offset, type)       ((type *)(void *)((char *)(object) + (offset)))
#define WZP_CONST_MEMBER(object, offset, type) ((type const *)(const void *)((const char *)(object) + (offset)))

#endif
