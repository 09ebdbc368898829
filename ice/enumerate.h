/* Host candidates: this machine's own addresses, by libnice's enumeration. Thread: any. */
#ifndef ICE_ENUMERATE_H
#define ICE_ENUMERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wzp/base/addr.h"

/**
 * List the addresses of the interfaces that are up, each once, with port filled in. Link-local, unspecified and
 * multicast addresses are left out; loopback ones too unless include_loopback.
 * @return how many were written, at most max.
 */
size_t wice_enumerate(uint16_t port, bool include_loopback, struct wz_addr *ret, size_t max);

#endif
