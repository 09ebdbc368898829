/* The certificates and keys that relays showed first, so that a relay that was exchanged is noticed (strict mode).
 *
 * A text file, one relay a line: ADDR CERT_SHA256 RELAY_KEY, in hex; "-" stands for a key that was not seen yet. Lines
 * that begin with '#' are comments; lines that cannot be read are warned of and kept. An operator who knows why a relay
 * changed removes its line; a certificate is then learned anew at once, an identity key at the next start. Several
 * objects, threads and processes may share one file: who writes locks its directory and reads again first, and the new
 * file replaces the old one in one step (mode 0600).
 * Thread: one at a time per object. Writing blocks on the disk: once per relay, on first use. */
#ifndef WZP_IO_PIN_FILE_H
#define WZP_IO_PIN_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "wzp/base/addr.h"

#define WZP_PIN_BYTES 32
/** Relays in one file. */
#define WZP_PIN_FILE_MAX_PINS 1024

struct wzp_pin_file;

/** path NULL: pins are kept in memory. A file that does not exist has no pins; it is made when there is one, its
 *  missing parent directories too. Copied. 0, -EFBIG, -E2BIG (over WZP_PIN_FILE_MAX_PINS), -ENOMEM, or the file system's. */
int wzp_pin_file_open(struct wzp_pin_file **ret, const char *path);
/** NULL-safe. */
void wzp_pin_file_free(struct wzp_pin_file *pins);
/** NULL: in memory. Lives as long as pins. */
const char *wzp_pin_file_path(const struct wzp_pin_file *pins);

/** Does the relay at addr show the certificate (SHA-256 of its DER) that it showed first? The first one is kept.
 *  0; -EKEYREJECTED when it is another one; -E2BIG when there is no room for a new pin. A pin that could not be written
 *  is logged and holds as long as the object lives. */
int wzp_pin_file_check_cert(struct wzp_pin_file *pins, const struct wz_addr *addr,
                            const uint8_t cert_sha256[static WZP_PIN_BYTES]);
/** The same for the identity key, of a relay whose certificate is pinned. -ENOENT when that is not so. */
int wzp_pin_file_check_key(struct wzp_pin_file *pins, const struct wz_addr *addr,
                           const uint8_t relay_key[static WZP_PIN_BYTES]);
/** The pinned key; false when there is none. */
bool wzp_pin_file_key(const struct wzp_pin_file *pins, const struct wz_addr *addr, uint8_t ret[static WZP_PIN_BYTES]);

#endif
