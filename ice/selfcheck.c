#include "ice/selfcheck.h"

#include <errno.h>
#include <nice/agent.h>
#include <stdbool.h>
#include <string.h>

#define LIMIT_S 5
static const char message[] = "wzp ice self check";

struct side {
    NiceAgent *agent;
    guint stream;
    bool gathered, ready, heard;
};

struct check {
    struct side side[2];
    GMainLoop *loop;
};

static struct side *side_of(struct check *check, NiceAgent *agent)
{
    return agent == check->side[0].agent ? &check->side[0] : &check->side[1];
}

static void on_receive(NiceAgent *agent, guint stream, guint component, guint len, gchar *buf, gpointer arg)
{
    struct check *check = arg;
    (void)stream;
    (void)component;
    if (len == sizeof message && memcmp(buf, message, len) == 0)
        side_of(check, agent)->heard = true;
    if (check->side[0].heard && check->side[1].heard)
        g_main_loop_quit(check->loop);
}

static void tell(NiceAgent *to, guint to_stream, NiceAgent *from, guint from_stream)
{
    gchar *ufrag = NULL, *password = NULL;
    GSList *candidates = nice_agent_get_local_candidates(from, from_stream, 1);
    if (nice_agent_get_local_credentials(from, from_stream, &ufrag, &password)) {
        nice_agent_set_remote_credentials(to, to_stream, ufrag, password);
        nice_agent_set_remote_candidates(to, to_stream, 1, candidates);
    }
    g_free(ufrag);
    g_free(password);
    g_slist_free_full(candidates, (GDestroyNotify)nice_candidate_free);
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer arg)
{
    struct check *check = arg;
    struct side *a = &check->side[0], *b = &check->side[1];
    (void)stream;
    side_of(check, agent)->gathered = true;
    if (!a->gathered || !b->gathered)
        return;
    tell(a->agent, a->stream, b->agent, b->stream);
    tell(b->agent, b->stream, a->agent, a->stream);
}

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer arg)
{
    struct side *side = side_of(arg, agent);
    (void)component;
    if (state != NICE_COMPONENT_STATE_READY || side->ready)
        return;
    side->ready = true;
    (void)nice_agent_send(agent, stream, 1, sizeof message, message);
}

static gboolean on_limit(gpointer arg)
{
    g_main_loop_quit(arg);
    return G_SOURCE_REMOVE;
}

static void open_side(struct check *check, unsigned index, GMainContext *context)
{
    struct side *side = &check->side[index];
    NiceAddress loopback;
    side->agent = nice_agent_new(context, NICE_COMPATIBILITY_RFC5245);
    g_object_set(side->agent, "controlling-mode", index == 0, "upnp", FALSE, "ice-tcp", FALSE, NULL);
    nice_address_init(&loopback);
    (void)nice_address_set_from_string(&loopback, "127.0.0.1");
    (void)nice_agent_add_local_address(side->agent, &loopback);
    g_signal_connect(side->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), check);
    g_signal_connect(side->agent, "component-state-changed", G_CALLBACK(on_state), check);
    side->stream = nice_agent_add_stream(side->agent, 1);
    nice_agent_attach_recv(side->agent, side->stream, 1, context, on_receive, check);
}

int wice_selfcheck(void)
{
    struct check check = { 0 };
    GMainContext *context = g_main_context_new();
    GSource *limit = g_timeout_source_new_seconds(LIMIT_S);
    g_main_context_push_thread_default(context);
    check.loop = g_main_loop_new(context, FALSE);
    g_source_set_callback(limit, on_limit, check.loop, NULL);
    g_source_attach(limit, context);
    open_side(&check, 0, context);
    open_side(&check, 1, context);
    for (unsigned i = 0; i < 2; i++)
        (void)nice_agent_gather_candidates(check.side[i].agent, check.side[i].stream);
    g_main_loop_run(check.loop);
    for (unsigned i = 0; i < 2; i++)
        g_object_unref(check.side[i].agent);
    g_source_destroy(limit);
    g_source_unref(limit);
    g_main_loop_unref(check.loop);
    g_main_context_pop_thread_default(context);
    g_main_context_unref(context);
    return check.side[0].heard && check.side[1].heard ? 0 : -ETIMEDOUT;
}
