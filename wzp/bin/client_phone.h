/* What wzp-client does on a line, command by command. Thread: the loop's. */
#ifndef WZP_BIN_CLIENT_PHONE_H
#define WZP_BIN_CLIENT_PHONE_H

#include "wzp/bin/client_options.h"
#include "wzp/bin/client_wav.h"
#include "wzp/io/line.h"

struct wz_loop;
struct wzp_quic;
struct client_phone;

struct client_phone_config {
    const struct client_options *options; /**< borrowed as long as the phone lives */
    const struct client_pcm *play;        /**< likewise; NULL: none */
    struct wz_addr relay;
    struct wzp_line_group *group; /**< NULL: no direct paths */
    struct wzp_pin_file *pins;    /**< strict */
    uint8_t seed[WZP_SEED_BYTES];
};

/** Starts working on the command; stops the loop when it is done. */
int client_phone_new(struct client_phone **ret, struct wz_loop *loop, struct wzp_quic *quic,
                     const struct client_phone_config *config);
/** Leaves the relay and completes the recording. */
void client_phone_free(struct client_phone *phone);
/** All addresses are known (or given up). */
void client_phone_set_addresses(struct client_phone *phone, const struct wzp_line_addresses *addresses);
/** Hang up and leave, then stop the loop; the second time at once. */
void client_phone_leave(struct client_phone *phone);
enum client_exit client_phone_exit(const struct client_phone *phone);

#endif
