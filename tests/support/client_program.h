/* The real wzp-client as child processes, against relays and STUN servers in the test's own process. The program lies
 * beside the test. Thread: the test's. */
#ifndef TESTS_SUPPORT_CLIENT_PROGRAM_H
#define TESTS_SUPPORT_CLIENT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wzp/base/addr.h"

#define CLIENT_PROGRAM_OUTPUT_MAX 262144
#define CLIENT_PROGRAMS           3
#define CLIENT_STAGE_SERVERS      3

struct client_program {
    pid_t pid; /**< 0: not running */
    int out;   /**< its standard output and error; -1: closed */
    size_t len;
    char text[CLIENT_PROGRAM_OUTPUT_MAX];
};

/** Answers every STUN request with one address. */
struct client_stun {
    struct wz_udp *udp;
    struct wz_addr mapped; /**< IPv4; family NONE: it keeps silent */
    unsigned requests;
    char text[WZ_ADDR_TEXT_MAX]; /**< where it is */
};

struct client_stage {
    char dir[64];
    struct wz_loop *loop;
    struct wzp_relay_server *relay[CLIENT_STAGE_SERVERS];
    char relay_text[CLIENT_STAGE_SERVERS][WZ_ADDR_TEXT_MAX];
    struct client_stun stun[CLIENT_STAGE_SERVERS];
    struct client_program program[CLIENT_PROGRAMS];
};

/** For cmocka: relays are made, STUN servers keep silent. */
int client_stage_new(void **state);
/** Kills what still runs. The directory is removed with the files named "seed", "a" and "b" in it. */
int client_stage_end(void **state);

#define CLIENT_ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
/** Run one program with these arguments. */
void client_stage_start(struct client_stage *stage, size_t program, const char *const *args);
/** Turn the loop until the program has said text; else the test fails. */
void client_stage_expect(struct client_stage *stage, size_t program, const char *text);
/** Its exit status, with everything it said in text; the test fails when it does not end. */
int client_stage_exit(struct client_stage *stage, size_t program);
/** A name in the directory of the stage. */
const char *client_stage_path(const struct client_stage *stage, const char *name, char buf[static 128]);

#endif
