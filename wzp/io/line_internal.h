/* What the files of a line share: the line, its calls and its connections. Included by wzp/io/line*.c only.
 *
 * The core names calls and connections by number; here they are objects. A connection that serves a call hangs on it
 * (dialled for it, accepted for it, or named by USE); of those, `send` is the path in use, and those that were in use
 * once go on receiving until they are closed. */
#ifndef WZP_IO_LINE_INTERNAL_H
#define WZP_IO_LINE_INTERNAL_H

#include "wzp/base/hash.h"
#include "wzp/base/list.h"
#include "wzp/core/client.h"
#include "wzp/io/line.h"
#include "wzp/io/pin_file.h"
#include "wzp/io/quic.h"
#include "wzp/rt/loop.h"

/** Reasons the core passes on; users get line.refusal in their place. */
#define LINE_REFUSED_CERTIFICATE "relay certificate changed"
#define LINE_REFUSED_KEY         "relay identity key changed"

struct line_group_name;

/** One connection of the core. Freed when QUIC says that it is closed. */
struct line_conn {
    struct wz_list node; /**< in wzp_line.conns */
    struct wzp_line *line;
    uint64_t id;
    struct wz_addr to; /**< where it was dialled; family NONE: accepted */
    bool is_direct;
    struct wzp_quic_conn *quic; /**< NULL: the dial failed at once, the core is told from the timer */
    struct wzp_line_call *call; /**< NULL: signal connection, or the call is over */
    bool receives;              /**< USE has named it: its datagrams are media of the call */
    uint64_t told_us;           /**< when the core was told of a datagram last */
    bool forgotten;             /**< the core has closed it and wants to hear nothing more */
    const char *refused;        /**< why we closed it ourselves, for the core; static; NULL: we did not */
};

struct wzp_line_call {
    struct wz_list node; /**< in wzp_line.calls */
    struct wzp_line *line;
    uint64_t id;
    void *arg;
    char call_id[WZP_CALL_ID_MAX + 1];
    struct line_conn *send;           /**< the path in use; NULL: none */
    bool was_up;                      /**< MEDIA_UP was delivered */
    bool is_down;                     /**< MEDIA_DOWN was, and no PATH since */
    struct wzp_line_media_stats gone; /**< sums of connections that are gone */
    struct line_group_name *name;     /**< under which the group finds it; NULL: it takes no inbound connection */
    struct wz_list name_node;
};

struct wzp_line {
    struct wz_loop *loop;
    struct wzp_quic *quic;
    struct wzp_client *client;
    struct wz_addr relay;         /**< where it registers */
    struct wzp_line_group *group; /**< NULL: no direct path */
    struct wzp_pin_file *pins;    /**< NULL: relays may change */
    struct wzp_pin_file *own_pins;
    struct wzp_line_handlers handlers;
    void *arg;
    struct wz_timer timer;
    struct wz_list calls, conns;
    bool dial_failed; /**< some conn has no quic */
    char *refusal;    /**< the whole story of the last relay that was refused; NULL: none */
};

/* line.c */
/** Carry out everything the core wants, then arm its timer. */
void line_pump(struct wzp_line *line);

/* line_conn.c: connections, dialled and accepted. */
void line_conn_dial(struct wzp_line *line, const struct wzp_client_effect *effect, struct wzp_line_call *call);
void line_conn_close(struct wzp_line *line, const struct wzp_client_effect *effect);
/** From now on media of call goes to connection `id` (0: to none). */
void line_conn_use(struct wzp_line_call *call, uint64_t id);
struct line_conn *line_conn_find(const struct wzp_line *line, uint64_t id);
/** Keep the whole story of a refused relay, for the user: the core has no room for it. */
void line_conn_tell_refusal(struct wzp_line *line, const struct wz_addr *relay, const char *what);
/** The call's relay has shown an identity key. False: it is not the pinned one, and the connection is being closed. */
bool line_conn_check_key(struct wzp_line_call *call, const struct wzp_line_event *shown);
/** Offer an accepted connection to the core. False: the call does not want it. */
bool line_conn_accept(struct wzp_line_call *call, struct wzp_quic_conn *quic);
/** Tell the core of dials that failed at once. */
void line_conn_report_failed(struct wzp_line *line, uint64_t now_us);
/** The call is over: its connections serve it no longer. */
void line_conn_release_call(struct wzp_line_call *call);
/** Close and free what is left. */
void line_conn_free_all(struct wzp_line *line);

/* line_group.c */
/** From now on inbound connections that name `sni` are offered to the call. Nothing happens when memory is short: the
 *  call then makes its own connections only. */
void line_group_expect(struct wzp_line_call *call, const char *sni);
void line_group_forget(struct wzp_line_call *call);

#endif
