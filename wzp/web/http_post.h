/* HTTP requests to a server of the operator (who is the owner of this token?): POST a JSON text, get the answer back on
 * the loop. libcurl on a thread of its own; the loop never waits. Redirects are not followed, certificates are
 * verified, no proxy stands between. Thread: the owner's loop for every function. */
#ifndef WZP_WEB_HTTP_POST_H
#define WZP_WEB_HTTP_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wz_loop;
struct wz_http_post;

/** Longest answer; a longer one is an error. */
#define WZ_HTTP_ANSWER_MAX_BYTES 65536
/** Requests handed in and not answered. */
#define WZ_HTTP_POST_WAITING_MAX 1024
/** Requests on the wire at once; the others wait, and their time runs. */
#define WZ_HTTP_POST_RUNNING_MAX 64
/** Longest URL. */
#define WZ_HTTP_URL_MAX 2048

struct wz_http_answer {
    int err;            /**< 0: a whole answer came. -ETIMEDOUT, -ECONNREFUSED, -EMSGSIZE (over the limit), -EPROTO
                            (certificate), -EIO: why not */
    const char *reason; /**< libcurl's words when err is set, else "" */
    unsigned status;    /**< 200, ... */
    const char *body;   /**< NUL-terminated, borrowed for the call */
    size_t body_len;
};

struct wz_http_post_config {
    unsigned timeout_ms; /**< from wz_http_post_send() to the whole answer; 0: 5000 */
    /** The answer to request id. May send further requests; must not free. */
    void (*answered)(void *arg, uint64_t id, const struct wz_http_answer *answer);
    void *arg;
};

struct wz_http_request {
    const char *url;
    const char *body;   /**< JSON */
    const char *bearer; /**< sent as "Authorization: Bearer ..."; NULL: not. Visible ASCII without blanks */
};

/** Start the thread. 0 or negative errno. */
int wz_http_post_new(struct wz_http_post **ret, struct wz_loop *loop, const struct wz_http_post_config *config);
/** Give up what is under way (nothing is answered any more), stop the thread. NULL-safe. */
void wz_http_post_free(struct wz_http_post *post);
/**
 * Hand in one request; answered() is called exactly once for it, later, unless wz_http_post_free() comes first.
 * @param id  The caller's own, given back.
 * @return    0; -ENOBUFS: WZ_HTTP_POST_WAITING_MAX wait already; -EINVAL: a URL or bearer it would not send; -ENOMEM.
 */
int wz_http_post_send(struct wz_http_post *post, uint64_t id, const struct wz_http_request *request);

/** Would a request to this URL be sent: http or https, with a host? */
bool wz_http_post_takes_url(const char *url);
/** May this text stand in the header? */
bool wz_http_post_takes_bearer(const char *text);

#endif
