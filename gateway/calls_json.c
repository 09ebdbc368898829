/* Calls as JSON, for wzpctl and the admin API. */
#include <jansson.h>

#include "gateway/calls_internal.h"

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

/* What goes over WZP, and what was done about its losses. */
static json_t *wzp_json(const struct gw_bridge_stats *m)
{
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "codec_rx",
                     m->wzp_rx ? wzp_codec_name(m->wzp_codec_rx) : "none", "codec_tx", m->wzp_tx ? wzp_codec_name(m->wzp_codec_tx) : "none",
                     "tier", wzp_tier_name(m->wzp_tier), "repair_rx", (json_int_t)m->wzp_repair, "repair_tx",
                     (json_int_t)m->wzp_repair_tx, "repaired", (json_int_t)m->wzp_repaired, "unrepaired",
                     (json_int_t)m->wzp_unrepaired, "dred", (json_int_t)m->wzp_dred, "comfort_noise_rx",
                     (json_int_t)m->wzp_comfort_noise, "comfort_noise_tx", (json_int_t)m->wzp_comfort_noise_tx,
                     "reports_rx", (json_int_t)m->wzp_reports_rx, "reports_tx", (json_int_t)m->wzp_reports_tx);
}

static json_t *media_json(const struct gw_live *live)
{
    const struct gw_bridge_stats *m = &live->media;
    char source[WZ_ADDR_TEXT_MAX];
    json_t *json = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i,s:I,s:s,s:b,s:I}", "rtp_rx",
        (json_int_t)m->rtp_rx, "rtp_tx", (json_int_t)m->rtp_tx, "rtp_lost", (json_int_t)m->rtp_lost, "rtp_late",
        (json_int_t)m->rtp_late, "rtp_duplicate", (json_int_t)m->rtp_duplicate, "rtp_strangers",
        (json_int_t)m->rtp_strangers, "rtp_bad", (json_int_t)(m->rtp_bad + m->rtp_bad_pt), "rtp_jitter_us",
        (int)m->rtp_jitter_us, "rtp_delay_us", (int)m->rtp_delay_us, "wzp_rx", (json_int_t)m->wzp_rx, "wzp_tx",
        (json_int_t)m->wzp_tx, "wzp_lost", (json_int_t)m->wzp_lost, "wzp_bad_codec", (json_int_t)m->wzp_bad_codec,
        "wzp_codec2", (json_int_t)m->wzp_codec2, "wzp_concealed", (json_int_t)m->wzp_concealed, "wzp_jitter_us",
        (int)m->wzp_jitter_us, "wzp_delay_us", (int)m->wzp_delay_us, "dtmf_digits", (json_int_t)m->dtmf_digits,
        "rtp_source", wz_addr_format(&m->rtp_source, source), "pass_through",
        (int)(m->pass_through_rtp && m->pass_through_wzp), "rtp_concealed", (json_int_t)m->rtp_concealed);
    if (json)
        (void)json_object_set_new(json, "wzp", wzp_json(m));
    return json;
}

static json_t *call_json(const struct gw_live *live)
{
    const struct gw_call *core = &live->core;
    uint64_t setup_us = core->answered_us ? core->answered_us - core->started_us : 0;
    uint64_t ring_us = core->ringing_us ? core->ringing_us - core->started_us : 0;
    json_t *json = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:s,s:I,s:I,s:I,s:I,s:o}", "id", live->id, "state",
        gw_call_state_name(core->state), "cause", gw_cause_name(core->cause), "direction",
        core->direction == GW_CALL_SIP_TO_WZP ? "sip-wzp" : "wzp-sip", "user", live->user ? live->user->name : "",
        "dialled", live->dialled, "peer", text_or_null(live->peer_fingerprint), "peer_alias",
        text_or_null(live->peer_alias), "wzp_call_id", text_or_null(live->wzp_call_id), "sip_call_id",
        text_or_null(live->sip_call_id), "path", gw_live_path_name(live), "codec",
        live->has_choice ? sipua_codec_name(live->choice.codec) : "none", "started_us",
        (json_int_t)live->started_wall_us, "ended_us", (json_int_t)live->ended_wall_us, "post_dial_ms",
        (json_int_t)(ring_us / 1000), "setup_ms", (json_int_t)(setup_us / 1000), "media", media_json(live));
    if (json && live->has_path) {
        (void)json_object_set_new(json, "path_remote", json_string(live->path_remote));
        (void)json_object_set_new(json, "path_changes", json_integer(live->path_changes));
        (void)json_object_set_new(json, "protection",
                                  json_pack("{s:s,s:s}", "wzp",
                                            live->path == WZP_LINE_PATH_DIRECT ? "quic-direct" : "quic-relay", "sip",
                                            "clear"));
    }
    if (json && live->peer_direct_addr[0])
        (void)json_object_set_new(json, "peer_direct_addr", json_string(live->peer_direct_addr));
    return json;
}

json_t *gw_calls_list(struct gw_calls *calls)
{
    struct wz_list *const lists[] = { &calls->past, &calls->active };
    json_t *array = json_array();
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (struct wz_list *pos = lists[i]->next; pos != lists[i]; pos = pos->next)
            (void)json_array_append_new(array, call_json(wz_container_of(pos, struct gw_live, node)));
    }
    return array;
}

static json_t *ladder_json(const struct gw_trace *trace)
{
    json_t *ladder = json_array();
    for (size_t i = 0; i < gw_trace_count(trace); i++) {
        size_t dropped;
        const struct gw_trace_entry *entry = gw_trace_at(trace, i, &dropped);
        if (dropped)
            (void)json_array_append_new(ladder, json_pack("{s:I}", "dropped", (json_int_t)dropped));
        /* A line cut inside a character would not be JSON: then say so instead of losing the line. */
        json_t *text = json_string(entry->text);
        (void)json_array_append_new(ladder,
                                    json_pack("{s:I,s:s,s:b,s:o}", "at_us", (json_int_t)entry->at_us, "party",
                                              gw_trace_party_name(entry->party), "outgoing", (int)entry->outgoing,
                                              "text", text ? text : json_string("(not text)")));
    }
    return ladder;
}

json_t *gw_calls_show(struct gw_calls *calls, const char *id)
{
    struct gw_live *live = gw_calls_by_id(calls, id);
    if (!live)
        return NULL;
    json_t *json = call_json(live);
    if (json)
        (void)json_object_set_new(json, "ladder", ladder_json(&live->trace));
    return json;
}
