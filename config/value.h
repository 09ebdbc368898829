/* One scalar setting: text to member and back. For the files in config/ only. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"
#include "config/schema.h"

/** Room for a reason. */
#define CFG_REASON_MAX 256

/**
 * Parse text into the member of base that field describes, replacing what was there.
 *
 * @param secrets  NULL: "env:" and "file:" references are kept as text.
 * @param reason   Written when -EINVAL is returned: what is wrong, without the value of a secret.
 * @return         0, -EINVAL or -ENOMEM.
 */
int cfg_value_set(const struct cfg_field *field, void *base, const char *text, const struct cfg_secret_source *secrets,
                  char reason[static CFG_REASON_MAX]);
/** The value as the file would give it; "none" when absent, "(hidden)" for secrets. malloc'd, NULL: no memory. */
char *cfg_value_text(const struct cfg_field *field, const void *base);
/** "IP:PORT", "10 to 600 s", "md5, sha256, both", ... for messages and the manual. */
void cfg_value_type(const struct cfg_field *field, char *ret, size_t size);
/** Free and wipe; the member becomes absent. */
void cfg_value_clear(const struct cfg_field *field, void *base);

#endif
