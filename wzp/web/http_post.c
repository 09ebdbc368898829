/* See http_post.h. The owner puts jobs into a locked list and wakes the thread; the thread runs them through one
 * curl multi handle and posts them back through a mailbox that has room for all that can be under way. */
#include "wzp/web/http_post.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/base/list.h"
#include "wzp/rt/clock.h"
#include "wzp/rt/mailbox.h"

#define DEFAULT_TIMEOUT_MS 5000
/** How long the thread sleeps when nothing happens; it is woken for everything. */
#define POLL_MS 10000

/* Belongs to the thread from send() until it is posted back. */
struct job {
    struct wz_list node;
    uint64_t id, give_up_us;
    char *url, *body, *bearer;
    CURL *easy; /* NULL while it waits */
    struct curl_slist *headers;
    char *answer; /* WZ_HTTP_ANSWER_MAX_BYTES and a NUL, allocated when the first byte comes */
    size_t answer_len;
    bool is_too_long;
    int err;
    unsigned status;
    char reason[CURL_ERROR_SIZE];
};

struct wz_http_post {
    void (*answered)(void *arg, uint64_t id, const struct wz_http_answer *answer);
    void *arg;
    uint64_t timeout_us;
    struct wz_mailbox *done;
    size_t under_way; /* owner's */
    CURLM *multi;     /* the thread's, but curl_multi_wakeup() */
    pthread_t thread;
    bool has_thread, has_curl;
    pthread_mutex_t lock;
    struct wz_list handed_in; /* under lock */
    bool stopping;            /* under lock */
    /* the thread's */
    struct wz_list waiting, running;
    size_t running_count;
};

static void free_job(struct job *job)
{
    if (job->easy)
        curl_easy_cleanup(job->easy);
    curl_slist_free_all(job->headers);
    free(job->url);
    if (job->body)
        explicit_bzero(job->body, strlen(job->body)); /* it holds the token */
    free(job->body);
    if (job->bearer)
        explicit_bzero(job->bearer, strlen(job->bearer));
    free(job->bearer);
    free(job->answer);
    free(job);
}

static void free_jobs(struct wz_list *list)
{
    struct wz_list *pos, *next;
    wz_list_foreach (pos, next, list)
        free_job(wz_container_of(pos, struct job, node));
    wz_list_init(list);
}

/* ---- the thread ---- */

/** libcurl hands us some of the answer; taking less than all of it ends the transfer. */
static size_t keep_answer(char *data, size_t size, size_t count, void *arg)
{
    struct job *job = arg;
    const size_t len = size * count; /* size is always 1 */
    if (len > WZ_HTTP_ANSWER_MAX_BYTES - job->answer_len) {
        job->is_too_long = true;
        return 0;
    }
    if (!job->answer && !(job->answer = malloc(WZ_HTTP_ANSWER_MAX_BYTES + 1)))
        return 0;
    memcpy(job->answer + job->answer_len, data, len);
    job->answer_len += len;
    return len;
}

static int error_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        return -EPROTO;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static void post_back(struct wz_http_post *post, struct job *job, CURLcode code)
{
    job->err = job->is_too_long ? -EMSGSIZE : error_of(code);
    if (job->is_too_long)
        (void)snprintf(job->reason, sizeof job->reason, "answer over %d bytes", WZ_HTTP_ANSWER_MAX_BYTES);
    else if (code != CURLE_OK && !job->reason[0])
        (void)snprintf(job->reason, sizeof job->reason, "%s", curl_easy_strerror(code));
    wz_list_remove(&job->node);
    if (wz_mailbox_post(post->done, &job) != 0)
        free_job(job); /* cannot happen: there is room for all under way */
}

static bool add_header(struct job *job, const char *line)
{
    struct curl_slist *grown = curl_slist_append(job->headers, line);
    if (grown)
        job->headers = grown;
    return grown != NULL;
}

static bool add_headers(struct job *job)
{
    static const char authorization[] = "Authorization: Bearer ";
    /* Without "Expect:" libcurl would ask leave first for a large body, and wait a second for it. */
    if (!add_header(job, "Content-Type: application/json") || !add_header(job, "Accept: application/json") ||
        !add_header(job, "Expect:"))
        return false;
    if (!job->bearer)
        return true;
    const size_t size = sizeof authorization + strlen(job->bearer);
    char *line = malloc(size);
    if (!line)
        return false;
    (void)snprintf(line, size, "%s%s", authorization, job->bearer);
    const bool ok = add_header(job, line);
    explicit_bzero(line, size);
    free(line);
    return ok;
}

static CURLcode set_up(struct job *job, uint64_t left_us)
{
    CURL *easy = job->easy;
    CURLcode code = add_headers(job) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
#define SET(option, value)                                                                                             \
    if (code == CURLE_OK)                                                                                              \
    code = curl_easy_setopt(easy, option, value)
    SET(CURLOPT_URL, job->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* nor one of the environment: the token is for the server alone */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* freeing does not wait for a resolver that hangs */
    SET(CURLOPT_TIMEOUT_MS, (long)(left_us / 1000 + 1));
    SET(CURLOPT_POSTFIELDS, job->body);
    SET(CURLOPT_POSTFIELDSIZE, (long)strlen(job->body));
    SET(CURLOPT_HTTPHEADER, job->headers);
    SET(CURLOPT_WRITEFUNCTION, keep_answer);
    SET(CURLOPT_WRITEDATA, job);
    SET(CURLOPT_ERRORBUFFER, job->reason);
    SET(CURLOPT_PRIVATE, job);
#undef SET
    return code;
}

static void start_job(struct wz_http_post *post, struct job *job)
{
    const uint64_t now_us = wz_clock_us();
    CURLcode code = CURLE_OPERATION_TIMEDOUT; /* it has waited for its turn too long */
    wz_list_remove(&job->node);
    if (now_us < job->give_up_us) {
        job->easy = curl_easy_init();
        code = job->easy ? set_up(job, job->give_up_us - now_us) : CURLE_OUT_OF_MEMORY;
        if (code == CURLE_OK && curl_multi_add_handle(post->multi, job->easy) != CURLM_OK)
            code = CURLE_FAILED_INIT;
    }
    if (code != CURLE_OK) {
        post_back(post, job, code);
        return;
    }
    wz_list_append(&post->running, &job->node);
    post->running_count++;
}

static void finish_job(struct wz_http_post *post, CURL *easy, CURLcode code)
{
    char *private;
    long status = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    struct job *job = (struct job *)(void *)private;
    job->status = status > 0 ? (unsigned)status : 0;
    (void)curl_multi_remove_handle(post->multi, easy);
    curl_easy_cleanup(easy);
    job->easy = NULL;
    post->running_count--;
    post_back(post, job, code);
}

/** True while the owner wants us to go on. */
static bool take_handed_in(struct wz_http_post *post)
{
    (void)pthread_mutex_lock(&post->lock);
    const bool go_on = !post->stopping;
    while (!wz_list_is_empty(&post->handed_in)) {
        struct wz_list *first = post->handed_in.next;
        wz_list_remove(first);
        wz_list_append(&post->waiting, first);
    }
    (void)pthread_mutex_unlock(&post->lock);
    return go_on;
}

/** Those that wait for a turn time out there, too: the oldest is first in the list. */
static bool is_next_due(const struct wz_http_post *post)
{
    if (wz_list_is_empty(&post->waiting))
        return false;
    return post->running_count < WZ_HTTP_POST_RUNNING_MAX ||
           wz_container_of(post->waiting.next, struct job, node)->give_up_us <= wz_clock_us();
}

static int poll_ms(const struct wz_http_post *post)
{
    if (wz_list_is_empty(&post->waiting))
        return POLL_MS;
    const uint64_t due_us = wz_container_of(post->waiting.next, struct job, node)->give_up_us, now_us = wz_clock_us();
    const uint64_t left_ms = due_us > now_us ? (due_us - now_us) / 1000 + 1 : 0;
    return left_ms < POLL_MS ? (int)left_ms : POLL_MS;
}

static void *run(void *arg)
{
    struct wz_http_post *post = arg;
    while (take_handed_in(post)) {
        int still_running, left;
        const CURLMsg *message;
        while (is_next_due(post))
            start_job(post, wz_container_of(post->waiting.next, struct job, node));
        (void)curl_multi_perform(post->multi, &still_running); /* a failed transfer says so in its message */
        while ((message = curl_multi_info_read(post->multi, &left)) != NULL)
            if (message->msg == CURLMSG_DONE)
                finish_job(post, message->easy_handle, message->data.result);
        if (!is_next_due(post))
            (void)curl_multi_poll(post->multi, NULL, 0, poll_ms(post), NULL);
    }
    return NULL;
}

/* ---- the owner ---- */

static void on_done(void *arg, void *item)
{
    struct wz_http_post *post = arg;
    struct job *job = *(struct job **)item;
    const struct wz_http_answer answer = {
        .err = job->err,
        .reason = job->err ? job->reason : "",
        .status = job->status,
        .body = job->answer ? job->answer : "",
        .body_len = job->answer_len,
    };
    if (job->answer)
        job->answer[job->answer_len] = '\0';
    post->under_way--;
    post->answered(post->arg, job->id, &answer);
    free_job(job);
}

static void drop_done(void *arg, void *item)
{
    (void)arg;
    free_job(*(struct job **)item);
}

bool wz_http_post_takes_url(const char *url)
{
    char *scheme = NULL, *host = NULL;
    bool takes = false;
    const size_t len = strnlen(url, WZ_HTTP_URL_MAX + 1);
    CURLU *parsed = len <= WZ_HTTP_URL_MAX ? curl_url() : NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        takes = (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && host[0];
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parsed);
    return takes;
}

bool wz_http_post_takes_bearer(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~') /* a newline would start a header of the client's own */
            return false;
    return text[0] != '\0';
}

int wz_http_post_send(struct wz_http_post *post, uint64_t id, const struct wz_http_request *request)
{
    if (!wz_http_post_takes_url(request->url) || (request->bearer && !wz_http_post_takes_bearer(request->bearer)))
        return -EINVAL;
    if (post->under_way == WZ_HTTP_POST_WAITING_MAX)
        return -ENOBUFS;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return -ENOMEM;
    wz_list_init(&job->node);
    job->id = id;
    job->give_up_us = wz_clock_us() + post->timeout_us;
    job->url = strdup(request->url);
    job->body = strdup(request->body);
    job->bearer = request->bearer ? strdup(request->bearer) : NULL;
    if (!job->url || !job->body || (request->bearer && !job->bearer)) {
        free_job(job);
        return -ENOMEM;
    }
    post->under_way++;
    (void)pthread_mutex_lock(&post->lock);
    wz_list_append(&post->handed_in, &job->node);
    (void)pthread_mutex_unlock(&post->lock);
    (void)curl_multi_wakeup(post->multi);
    return 0;
}

int wz_http_post_new(struct wz_http_post **ret, struct wz_loop *loop, const struct wz_http_post_config *config)
{
    struct wz_http_post *post = calloc(1, sizeof *post);
    if (!post)
        return -ENOMEM;
    post->answered = config->answered;
    post->arg = config->arg;
    post->timeout_us = (uint64_t)(config->timeout_ms ? config->timeout_ms : DEFAULT_TIMEOUT_MS) * 1000;
    wz_list_init(&post->handed_in);
    wz_list_init(&post->waiting);
    wz_list_init(&post->running);
    (void)pthread_mutex_init(&post->lock, NULL); /* cannot fail with default attributes on Linux */
    int err = wz_mailbox_new(&post->done, loop, WZ_HTTP_POST_WAITING_MAX, sizeof(struct job *), on_done, post);
    if (!err && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        err = -EIO;
    post->has_curl = !err;
    if (!err && !(post->multi = curl_multi_init()))
        err = -ENOMEM;
    if (!err)
        err = -pthread_create(&post->thread, NULL, run, post);
    post->has_thread = !err;
    if (err) {
        wz_http_post_free(post);
        return err;
    }
    *ret = post;
    return 0;
}

void wz_http_post_free(struct wz_http_post *post)
{
    struct wz_list *pos, *next;
    if (!post)
        return;
    if (post->has_thread) {
        (void)pthread_mutex_lock(&post->lock);
        post->stopping = true;
        (void)pthread_mutex_unlock(&post->lock);
        (void)curl_multi_wakeup(post->multi);
        (void)pthread_join(post->thread, NULL);
    }
    wz_list_foreach (pos, next, &post->running)
        (void)curl_multi_remove_handle(post->multi, wz_container_of(pos, struct job, node)->easy);
    free_jobs(&post->running);
    free_jobs(&post->waiting);
    free_jobs(&post->handed_in);
    if (post->multi)
        curl_multi_cleanup(post->multi);
    if (post->done)
        wz_mailbox_free(post->done, drop_done);
    if (post->has_curl)
        curl_global_cleanup();
    (void)pthread_mutex_destroy(&post->lock);
    free(post);
}
