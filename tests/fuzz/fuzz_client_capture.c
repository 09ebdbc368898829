/* Capture files that wzp-client is asked to read again. */
#include <math.h>
#include <stdlib.h>

#include "wzp/bin/client_analyze.c" /* a program's file is in no library */
#include "wzp/bin/client_capture.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct client_analysis *analysis, uint64_t given)
{
    struct client_analysis_sums sums;
    client_analysis_sums(analysis, &sums);
    if (sums.datagrams != given || sums.packets + sums.duplicate + sums.undecodable + sums.unassigned != given)
        abort(); /* every datagram is counted in one place */
    for (size_t i = 0; i < client_analysis_count(analysis); i++) {
        const struct client_stream *stream = client_analysis_stream(analysis, i);
        const double loss_pct = client_stream_loss_pct(stream);
        if (!(loss_pct >= 0 && loss_pct <= 100) || client_stream_seconds(stream) < 0 || !isfinite(stream->jitter_ms))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_capture_reader reader;
    struct client_capture_packet packet;
    struct client_analysis *analysis;
    uint64_t given = 0;
    if (client_capture_open(&reader, wz_bytes(data, size)) < 0)
        return reader.why[0] ? 0 : (abort(), 0);
    if (client_analysis_new(&analysis) < 0)
        return 0;
    while (client_capture_next(&reader, &packet) > 0) {
        (void)client_analysis_packet(analysis, packet.at_us, packet.datagram);
        given++;
    }
    check(analysis, given);
    client_analysis_free(analysis);
    return 0;
}
