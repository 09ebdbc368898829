/* See httpd.h. One MHD daemon per listener, each with its own polling thread. A request is suspended inside
 * MHD while the owner's loop works on it: suspend, post to the mailbox, reply, resume. */
#include "wzp/web/httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/list.h"
#include "wzp/rt/mailbox.h"
#include "wzp/web/httpd_listen.h"

/** MHD's memory for one connection: request line and headers must fit. */
#define CONNECTION_MEMORY_BYTES (16u * 1024)
#define METHOD_MAX              16
#define QUERY_TEXT_MAX          128
#define LISTENERS_MAX           2

struct query {
    char name[32];
    char value[QUERY_TEXT_MAX];
};

/* Belongs to the MHD thread until it is posted, then to the owner until wz_httpd_reply(), then to MHD again.
 */
struct wz_httpd_request {
    struct wz_httpd *httpd;
    struct MHD_Connection *connection;
    struct wz_list node; /**< in httpd->open while the owner has it */
    char method[METHOD_MAX];
    char path[WZ_HTTPD_PATH_MAX];
    struct query query[WZ_HTTPD_QUERY_MAX];
    size_t query_count;
    char *body;
    size_t body_len;
    unsigned refusal; /**< status decided before the owner is asked; 0: none */
    bool answered;
    unsigned status;
    const char *content_type;
    char *reply;
    size_t reply_len;
};

struct listener {
    struct wz_httpd *httpd;
    struct MHD_Daemon *daemon;
    bool is_tcp;
};

struct wz_httpd {
    void (*handle)(void *arg, struct wz_httpd_request *request);
    void *arg;
    struct wz_mailbox *requests;
    struct wz_list open; /**< taken from the mailbox, not answered yet; owner's thread only */
    struct listener listener[LISTENERS_MAX];
    struct wz_addr tcp;
    bool tcp_may_be_remote;
    struct wz_httpd_socket_file file;
    pthread_mutex_t lock;
    bool closing; /**< under lock: nothing is posted any more */
};

/* ---- on MHD's threads ---- */

static struct wz_httpd_request *request_new(struct wz_httpd *httpd, struct MHD_Connection *connection, const char *path,
                                            const char *method)
{
    struct wz_httpd_request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->httpd = httpd;
    request->connection = connection;
    wz_list_init(&request->node);
    (void)snprintf(request->method, sizeof request->method, "%s", method); /* a cut one is no method we know */
    if (snprintf(request->path, sizeof request->path, "%s", path) >= (int)sizeof request->path)
        request->refusal = MHD_HTTP_URI_TOO_LONG;
    return request;
}

static enum MHD_Result keep_query(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct wz_httpd_request *request = arg;
    struct query *query = &request->query[request->query_count];

    (void)kind;
    if (request->query_count == WZ_HTTPD_QUERY_MAX)
        return MHD_NO;
    if (!name || strlen(name) >= sizeof query->name || (value && strlen(value) >= sizeof query->value))
        return MHD_YES; /* none of ours is that long */
    (void)snprintf(query->name, sizeof query->name, "%s", name);
    (void)snprintf(query->value, sizeof query->value, "%s", value ? value : "");
    request->query_count++;
    return MHD_YES;
}

static void keep_body(struct wz_httpd_request *request, const char *data, size_t len)
{
    char *body;

    if (request->refusal)
        return; /* read and thrown away, so that the client gets to see the answer */
    if (len > WZ_HTTPD_BODY_MAX_BYTES - request->body_len) {
        request->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
        return;
    }
    body = realloc(request->body, request->body_len + len);
    if (!body) {
        request->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
        return;
    }
    memcpy(body + request->body_len, data, len);
    request->body = body;
    request->body_len += len;
}

/** A web page that lets its own name point at 127.0.0.1 must not read our pages through a browser. */
static bool is_local_host_header(const char *host)
{
    char name[WZ_ADDR_TEXT_MAX];
    struct wz_addr addr;
    size_t len;

    if (!host)
        return true; /* HTTP/1.0: no browser */
    if (wz_addr_parse(host, &addr) == 0 || wz_addr_parse_ip(host, 0, &addr) == 0)
        return wz_addr_kind(&addr) == WZ_ADDR_KIND_LOOPBACK;
    len = strcspn(host, ":");
    (void)snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 0, host);
    return strcmp(name, "localhost") == 0;
}

static void set_reply(struct wz_httpd_request *request, unsigned status, const char *content_type, char *body,
                      size_t len)
{
    request->status = status;
    request->content_type = content_type;
    request->reply = body;
    request->reply_len = body ? len : 0;
    request->answered = true;
}

static void refuse(struct wz_httpd_request *request, unsigned status)
{
    set_reply(request, status, "text/plain", NULL, 0);
}

/** Hand the request to the owner. False: not now. True: MHD calls again when it is answered; until then it is
 * not ours to touch. Suspended before it is posted, since the answer may come before this function returns.
 */
static bool ask_owner(struct wz_httpd_request *request)
{
    struct wz_httpd *httpd = request->httpd;
    bool closing;

    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, keep_query, request);
    (void)pthread_mutex_lock(&httpd->lock);
    closing = httpd->closing;
    if (!closing) {
        MHD_suspend_connection(request->connection);
        if (wz_mailbox_post(httpd->requests, &request) < 0) {
            refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE);
            MHD_resume_connection(request->connection);
        }
    }
    (void)pthread_mutex_unlock(&httpd->lock);
    return !closing;
}

static enum MHD_Result send_reply(struct wz_httpd_request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(request->reply_len, request->reply ? request->reply : (char *)"",
                                        request->reply ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    request->reply = NULL; /* MHD's now */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (request->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Called for the headers, for each piece of the body, at the end, and again after a resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **state)
{
    const struct listener *listener = arg;
    struct wz_httpd_request *request = *state;

    (void)version;
    if (!request) {
        *state = request = request_new(listener->httpd, connection, url, method);
        if (!request)
            return MHD_NO;
        if (listener->is_tcp && !listener->httpd->tcp_may_be_remote &&
            !is_local_host_header(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
            request->refusal = MHD_HTTP_FORBIDDEN;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        keep_body(request, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    if (request->answered)
        return send_reply(request);
    if (!request->refusal && ask_owner(request))
        return MHD_YES;
    refuse(request, request->refusal ? request->refusal : MHD_HTTP_SERVICE_UNAVAILABLE);
    return send_reply(request);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct wz_httpd_request *request = *state;

    (void)arg;
    (void)connection;
    (void)code;
    if (!request)
        return;
    free(request->body);
    free(request->reply);
    free(request);
    *state = NULL;
}

/* ---- on the owner's thread ---- */

static void on_posted(void *arg, void *item)
{
    struct wz_httpd *httpd = arg;
    struct wz_httpd_request *request = *(struct wz_httpd_request **)item;

    wz_list_append(&httpd->open, &request->node);
    httpd->handle(httpd->arg, request);
}

void wz_httpd_reply(struct wz_httpd_request *request, unsigned status, const char *content_type, char *body,
                    size_t body_len)
{
    struct MHD_Connection *connection = request->connection;

    wz_list_remove(&request->node);
    set_reply(request, status, content_type, body, body_len);
    MHD_resume_connection(connection); /* from here on the request is MHD's */
}

const char *wz_httpd_method(const struct wz_httpd_request *request)
{
    return request->method;
}

const char *wz_httpd_path(const struct wz_httpd_request *request)
{
    return request->path;
}

const char *wz_httpd_query(const struct wz_httpd_request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0)
            return request->query[i].value;
    return NULL;
}

const char *wz_httpd_body(const struct wz_httpd_request *request, size_t *ret_len)
{
    *ret_len = request->body_len;
    return request->body;
}

/* ---- life ---- */

/** fd passes to the daemon on success. */
static int start_listener(struct wz_httpd *httpd, struct listener *listener, int fd, bool is_tcp)
{
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME;

    listener->httpd = httpd;
    listener->is_tcp = is_tcp;
    listener->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_LISTEN_SOCKET,
                                        (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)WZ_HTTPD_CONNECTIONS_MAX,
                                        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)WZ_HTTPD_TIMEOUT_S,
                                        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
                                        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    return listener->daemon ? 0 : -EIO;
}

static int open_unix(struct wz_httpd *httpd, const char *path, char error[static WZ_HTTPD_ERROR_MAX])
{
    int fd;
    int err = wz_httpd_listen_unix(path, &httpd->file, &fd);

    if (!err) {
        err = start_listener(httpd, &httpd->listener[0], fd, false);
        if (err)
            wz_httpd_close(fd);
    }
    if (err)
        (void)snprintf(error, WZ_HTTPD_ERROR_MAX, "cannot listen on %s: %s", path,
                       err == -EADDRINUSE ? "another process serves there" : strerror(-err));
    return err;
}

static int open_tcp(struct wz_httpd *httpd, const struct wz_addr *addr, char error[static WZ_HTTPD_ERROR_MAX])
{
    char text[WZ_ADDR_TEXT_MAX];
    int fd;
    int err = -EINVAL;

    if (httpd->tcp_may_be_remote || wz_addr_kind(addr) == WZ_ADDR_KIND_LOOPBACK)
        err = wz_httpd_listen_tcp(addr, &fd, &httpd->tcp);
    if (!err) {
        err = start_listener(httpd, &httpd->listener[1], fd, true);
        if (err)
            wz_httpd_close(fd);
    }
    if (err)
        (void)snprintf(error, WZ_HTTPD_ERROR_MAX, "cannot serve HTTP on %s: %s", wz_addr_format(addr, text),
                       err == -EINVAL ? "not a loopback address" : strerror(-err));
    return err;
}

int wz_httpd_new(struct wz_httpd **ret, struct wz_loop *loop, const struct wz_httpd_config *config,
                 char error[static WZ_HTTPD_ERROR_MAX])
{
    struct wz_httpd *httpd = calloc(1, sizeof *httpd);
    int err;

    (void)snprintf(error, WZ_HTTPD_ERROR_MAX, "out of memory");
    if (!httpd)
        return -ENOMEM;
    httpd->handle = config->handle;
    httpd->arg = config->arg;
    httpd->tcp_may_be_remote = config->tcp_may_be_remote;
    wz_list_init(&httpd->open);
    (void)pthread_mutex_init(&httpd->lock, NULL); /* cannot fail with default attributes on Linux */
    err = wz_mailbox_new(&httpd->requests, loop, (size_t)LISTENERS_MAX * WZ_HTTPD_CONNECTIONS_MAX,
                         sizeof(struct wz_httpd_request *), on_posted, httpd);
    if (!err && config->unix_path)
        err = open_unix(httpd, config->unix_path, error);
    if (!err && config->tcp.family != WZ_ADDR_NONE)
        err = open_tcp(httpd, &config->tcp, error);
    if (err) {
        wz_httpd_free(httpd);
        return err;
    }
    *ret = httpd;
    return 0;
}

static void answer_unavailable(void *arg, void *item)
{
    (void)arg;
    wz_httpd_reply(*(struct wz_httpd_request **)item, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", NULL, 0);
}

void wz_httpd_free(struct wz_httpd *httpd)
{
    struct wz_list *pos, *next;

    if (!httpd)
        return;
    (void)pthread_mutex_lock(&httpd->lock);
    httpd->closing = true;
    (void)pthread_mutex_unlock(&httpd->lock);
    /* MHD_stop_daemon() aborts the process over a suspended connection: answer every one first. */
    wz_list_foreach (pos, next, &httpd->open) {
        struct wz_httpd_request *request = wz_container_of(pos, struct wz_httpd_request, node);
        answer_unavailable(NULL, &request);
    }
    wz_mailbox_free(httpd->requests, answer_unavailable);
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        if (httpd->listener[i].daemon)
            MHD_stop_daemon(httpd->listener[i].daemon);
    wz_httpd_remove_file(&httpd->file);
    (void)pthread_mutex_destroy(&httpd->lock);
    free(httpd);
}

struct wz_addr wz_httpd_tcp_address(const struct wz_httpd *httpd)
{
    return httpd->tcp;
}
