/* The calls of a media worker: WZP call and media session under one ref. Inside of gateway/worker only.
 * Thread: the worker's. */
#ifndef GATEWAY_WORKER_CALL_H
#define GATEWAY_WORKER_CALL_H

#include "gateway/media/session.h"
#include "gateway/worker.h"
#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"

struct gw_thread;
struct gw_addresses;
struct wz_mailbox;

struct gw_worker_line {
    struct gw_worker *worker;
    uint32_t id;
    bool is_echo;
    struct wzp_line *line;
};

struct gw_worker {
    struct gw_worker_config config;
    struct gw_thread *thread;
    struct wz_mailbox *mailbox;
    struct wzp_line_group *group; /**< NULL: no direct paths */
    struct wzp_pin_file *pins;    /**< NULL: not strict */
    struct wzp_quic *quic;
    struct gw_addresses *addresses;
    struct gw_worker_line **line;
    size_t line_count, line_room;
    struct wz_hash by_ref;
    struct wz_list calls;
    struct wz_timer watch;
};

/** Lives as long as its WZP call or its media session. */
struct gw_worker_call {
    struct gw_worker *worker;
    uint64_t ref;
    struct wz_hash_node by_ref;
    struct wz_list node;
    struct wzp_line_call *call; /**< NULL: over */
    struct gw_session *session; /**< NULL: not open */
    bool media_up;              /**< a path carries media now */
    bool was_up;                /**< MEDIA_UP came: the call has been answered to the phone */
    bool on_hold;               /**< the phone does not send by agreement: its silence means nothing */
    uint64_t session_since_us;
    bool silence_told;
    unsigned watches; /**< seconds since the session opened */
    struct wzp_line_media_stats path_before;
};

int gw_worker_calls_init(struct gw_worker *worker);
void gw_worker_calls_done(struct gw_worker *worker);
/** An event of a line that belongs to a call. */
void gw_worker_call_event(struct gw_worker_line *line, const struct wzp_line_event *event);
/** A command about a call; line is the one it names, or NULL. */
void gw_worker_call_command(struct gw_worker *worker, struct gw_worker_line *line, const struct gw_command *command);
/** Once a second: silence, path statistics, running counters. */
void gw_worker_calls_watch(struct gw_worker *worker, uint64_t now_us);

#endif
