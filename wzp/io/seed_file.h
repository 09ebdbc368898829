/* The file a seed lives in: 64 hex digits, mode 0600, made on first use. Thread: any; blocks on the disk. */
#ifndef WZP_IO_SEED_FILE_H
#define WZP_IO_SEED_FILE_H

#include <stdbool.h>

#include "wzp/base/rng.h"
#include "wzp/core/identity.h"

/**
 * Read the seed from path, or make one there (missing parent directories too, mode 0700).
 *
 * The new file appears under its name only when it is complete; of two processes that make it at once, both
 * read the same one afterwards. A file that others may read is accepted, *ret_loose tells.
 * @param ret_created  The seed is new; may be NULL.
 * @param ret_loose    The file's mode lets others read it; may be NULL.
 * @return 0; -EBADMSG (the file holds something else: it is never overwritten); else that of the file system.
 */
int wzp_seed_file_load(const char *path, const struct wz_rng *rng, uint8_t ret[static WZP_SEED_BYTES],
                       bool *ret_created, bool *ret_loose);

/** Make the directories above path that are missing, mode 0700. 0 or that of the file system. */
int wzp_make_parent_dirs(const char *path);

#endif
