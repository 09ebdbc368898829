/* Rules between settings, called through the schema after a group was read. For the files in config/ only. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/mistakes.h"
#include "config/schema.h"

/** Where a value was set: remembered during the walk so that later rules can point at it. */
struct cfg_mark {
    const void *value; /**< address of the member, or of the struct for a group or list entry */
    const void *what;  /**< its cfg_field or cfg_schema, since a struct and its first member share an address */
    struct cfg_place place;
};

struct cfg_checker {
    struct cfg_mistakes *mistakes;
    struct cfg_mark *mark;
    size_t mark_count;
    size_t mark_room;
    bool out_of_memory;
};

void cfg_checker_mark(struct cfg_checker *checker, const void *value, const void *what, struct cfg_place place);
/** Was it set in the file? *ret is written if so. */
bool cfg_checker_find(const struct cfg_checker *checker, const void *value, const void *what, struct cfg_place *ret);
/** The same for a member of the group at base that was read last; does not look beyond that group. */
bool cfg_checker_is_set(const struct cfg_checker *checker, const struct cfg_schema *schema, const void *base,
                        const char *name);
void cfg_checker_done(struct cfg_checker *checker);

/** Entries of a list with the same text in a CFG_UNIQUE field. */
void cfg_check_unique(struct cfg_checker *checker, const struct cfg_schema *schema, const struct cfg_list *list,
                      const char *path);

void cfg_check_sip(struct cfg_checker *checker, const void *value, const char *path);
void cfg_check_media(struct cfg_checker *checker, const void *value, const char *path);
void cfg_check_user(struct cfg_checker *checker, const void *value, const char *path);
void cfg_check_contact(struct cfg_checker *checker, const void *value, const char *path);
void cfg_check_admin(struct cfg_checker *checker, const void *value, const char *path);
void cfg_check_whole(struct cfg_checker *checker, const void *value, const char *path);

#endif
