/* See relay_auth.h. */
#define LOG_MODULE "auth"
#include "wzp/bin/relay_auth.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wzp/rt/log.h"
#include "wzp/rt/loop.h"
#include "wzp/web/http_post.h"

/** A server that fails is complained of so often. */
#define COMPLAIN_EVERY_US UINT64_C(10000000)

struct relay_auth {
    struct wz_loop *loop;
    struct wz_http_post *post;
    char *url;
    void (*decided)(void *arg, uint64_t conn, const struct relay_auth_verdict *verdict);
    void *arg;
    struct relay_auth_stats stats;
    uint64_t complain_again_us, failed_silently;
};

/* ---- the answer ---- */

/** A text of 1..max visible ASCII characters without quotes: it becomes a name in maps, messages and log lines. */
static bool take_fingerprint(const json_t *value, char *ret, size_t max)
{
    const char *text = json_string_value(value);
    const size_t len = json_string_length(value);
    if (!text || len == 0 || len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    memcpy(ret, text, len + 1);
    return true;
}

static bool take_alias(const json_t *value, char *ret, size_t max)
{
    if (!value || json_is_null(value))
        return true;
    const char *text = json_string_value(value);
    const size_t len = json_string_length(value);
    if (!text || len > max || strlen(text) != len)
        return false;
    memcpy(ret, text, len + 1);
    return true;
}

int relay_auth_parse(unsigned status, const char *body, size_t len, struct relay_auth_verdict *ret)
{
    struct relay_auth_verdict verdict = { 0 };
    int err = -EBADMSG;
    if (status < 200 || status > 299)
        return err;
    json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *valid = json_object_get(root, "valid"); /* NULL and other types are taken for empty objects */
    verdict.is_valid = json_is_true(valid);
    if (json_is_boolean(valid) &&
        (!verdict.is_valid ||
         (take_fingerprint(json_object_get(root, "fingerprint"), verdict.fingerprint, RELAY_AUTH_FINGERPRINT_MAX) &&
          take_alias(json_object_get(root, "alias"), verdict.alias, RELAY_AUTH_ALIAS_MAX)))) {
        *ret = verdict;
        err = 0;
    }
    json_decref(root);
    return err;
}

static void complain(struct relay_auth *auth, const struct wz_http_answer *answer)
{
    const uint64_t now_us = wz_loop_now_us(auth->loop);
    char reason[160];
    auth->stats.failed++;
    if (now_us < auth->complain_again_us) {
        auth->failed_silently++;
        return;
    }
    LOG_WARN("auth.failed", "status=%u error=%s silent=%llu hint=\"nobody gets in before the auth server answers\"",
             answer->status,
             wz_log_quote(answer->err ? answer->reason : "not the agreed answer", reason, sizeof reason),
             (unsigned long long)auth->failed_silently);
    auth->failed_silently = 0;
    auth->complain_again_us = now_us + COMPLAIN_EVERY_US;
}

static void on_answer(void *arg, uint64_t id, const struct wz_http_answer *answer)
{
    struct relay_auth *auth = arg;
    struct relay_auth_verdict verdict = { 0 };
    auth->stats.waiting--;
    if (answer->err || relay_auth_parse(answer->status, answer->body, answer->body_len, &verdict) != 0)
        complain(auth, answer);
    else if (verdict.is_valid)
        auth->stats.valid++;
    else
        auth->stats.refused++;
    auth->decided(auth->arg, id, &verdict);
}

/* ---- the question ---- */

int relay_auth_check(struct relay_auth *auth, uint64_t conn, struct wz_bytes token)
{
    char text[RELAY_AUTH_TOKEN_MAX_BYTES + 1];
    if (token.len == 0 || token.len > RELAY_AUTH_TOKEN_MAX_BYTES || memchr(token.data, '\0', token.len))
        return -EBADMSG;
    memcpy(text, token.data, token.len);
    text[token.len] = '\0';
    int err = -EBADMSG; /* what is no UTF-8 is no JSON either */
    json_t *question = json_pack("{s:s}", "token", text);
    char *body = question ? json_dumps(question, JSON_COMPACT) : NULL;
    if (body) {
        const struct wz_http_request request = { .url = auth->url,
                                                 .body = body,
                                                 .bearer = wz_http_post_takes_bearer(text) ? text : NULL };
        err = wz_http_post_send(auth->post, conn, &request);
        explicit_bzero(body, strlen(body));
        free(body);
    }
    json_decref(question);
    explicit_bzero(text, sizeof text);
    if (err)
        return err;
    auth->stats.asked++;
    auth->stats.waiting++;
    return 0;
}

/* ---- life ---- */

int relay_auth_new(struct relay_auth **ret, struct wz_loop *loop, const struct relay_auth_config *config)
{
    struct relay_auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return -ENOMEM;
    const struct wz_http_post_config post = { .answered = on_answer, .arg = auth };
    auth->loop = loop;
    auth->decided = config->decided;
    auth->arg = config->arg;
    auth->url = strdup(config->url);
    const int err = auth->url ? wz_http_post_new(&auth->post, loop, &post) : -ENOMEM;
    if (err) {
        relay_auth_free(auth);
        return err;
    }
    *ret = auth;
    return 0;
}

void relay_auth_free(struct relay_auth *auth)
{
    if (!auth)
        return;
    wz_http_post_free(auth->post);
    free(auth->url);
    free(auth);
}

void relay_auth_stats(const struct relay_auth *auth, struct relay_auth_stats *ret)
{
    *ret = auth->stats;
}
