/* The real wzp-relay as a child process: started with arguments, its output read, its end awaited. The program lies
 * beside the test. Thread: the test's. */
#ifndef TESTS_SUPPORT_RELAY_PROGRAM_H
#define TESTS_SUPPORT_RELAY_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/support/relay_peer.h"

#define RELAY_PROGRAM_OUTPUT_MAX 262144

struct relay_program {
    char dir[64], identity[128], config[128]; /**< a directory of its own and two names in it */
    pid_t pid;                                /**< 0: not running */
    int out;                                  /**< its standard output and error */
    char text[RELAY_PROGRAM_OUTPUT_MAX];
    size_t len;
    struct wz_loop *loop;  /**< of the test's clients */
    struct wzp_quic *quic; /**< their endpoint */
};

/** Make the directory, the loop and the endpoint. */
void relay_program_init(struct relay_program *program);
/** Kill it if it still runs, free everything. Peers must be done before. */
void relay_program_done(struct relay_program *program);
/** Run it with these arguments, NULL-terminated. */
void relay_program_spawn(struct relay_program *program, const char *const *args);
/** Run it on a loopback port with the identity file, JSON lines and up to eight more arguments; wait until it serves. */
void relay_program_start(struct relay_program *program, const char *const *more);
/** Read on until the output contains text, or it ends, or nothing comes for a while. Turns the loop. */
bool relay_program_says(struct relay_program *program, const char *text);
/** Read what there is, forget it. */
void relay_program_forget(struct relay_program *program);
/** Its exit status, or -1 when it does not end or dies of a signal. */
int relay_program_status(struct relay_program *program);
/** The value of a text member of the last line with this event: "listen" of "relay.started". */
void relay_program_member(const struct relay_program *program, const char *event, const char *member, char *ret,
                          size_t size);
/** The address it serves clients on. */
struct wz_addr relay_program_address(const struct relay_program *program);
void relay_program_write(const char *path, const char *text);

#endif
