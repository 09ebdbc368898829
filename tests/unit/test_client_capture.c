/* Capture files of wzp-client: what is written is read back, and what is no capture is refused at its byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <unistd.h>

#include <cmocka.h>

#include "wzp/bin/client_capture.c" /* a program's file is in no library */

struct paper {
    char path[64];
    uint8_t *data;
    size_t len;
};

static int new_paper(void **state)
{
    static struct paper paper;
    (void)snprintf(paper.path, sizeof paper.path, "/tmp/wzp-capture-XXXXXX");
    const int fd = mkstemp(paper.path);
    assert_true(fd >= 0);
    close(fd);
    *state = &paper;
    return 0;
}

static int end_paper(void **state)
{
    struct paper *paper = *state;
    (void)remove(paper->path);
    free(paper->data);
    paper->data = NULL;
    return 0;
}

static const struct client_capture_info info = { .room = "ops", .relay = "127.0.0.1:4433", .start_time = "now" };

static void write_two(const struct paper *paper)
{
    struct client_capture_writer *writer;
    assert_int_equal(client_capture_create(&writer, paper->path, &info), 0);
    assert_int_equal(client_capture_write(writer, 20000, wz_bytes("abc", 3)), 0);
    assert_int_equal(client_capture_write(writer, 0x0102030405060708, wz_bytes(NULL, 0)), 0);
    assert_int_equal(client_capture_close(writer), 0);
}

static void load(struct paper *paper)
{
    free(paper->data);
    paper->data = NULL;
    assert_int_equal(client_capture_load(paper->path, &paper->data, &paper->len), 0);
}

static void what_was_written_is_read_back(void **state)
{
    struct paper *paper = *state;
    struct client_capture_reader reader;
    struct client_capture_packet packet;
    write_two(paper);
    load(paper);
    assert_int_equal(client_capture_open(&reader, wz_bytes(paper->data, paper->len)), 0);
    assert_string_equal(reader.info.room, "ops");
    assert_string_equal(reader.info.relay, "127.0.0.1:4433");
    assert_string_equal(reader.info.start_time, "now");
    assert_int_equal(client_capture_next(&reader, &packet), 1);
    assert_int_equal(packet.at_us, 20000);
    assert_true(wz_bytes_equal(packet.datagram, wz_bytes("abc", 3)));
    assert_int_equal(client_capture_next(&reader, &packet), 1);
    assert_int_equal(packet.at_us, 0x0102030405060708);
    assert_int_equal(packet.datagram.len, 0);
    assert_int_equal(client_capture_next(&reader, &packet), 0);
}

static void the_bytes_are_those_of_the_format(void **state)
{
    struct paper *paper = *state;
    write_two(paper);
    load(paper);
    static const char json[] = "{\"room\":\"ops\",\"relay\":\"127.0.0.1:4433\",\"start_time\":\"now\",\"version\":1}";
    static const uint8_t first[] = { 0x20, 0x4e, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c' };
    const size_t json_len = sizeof json - 1;
    assert_memory_equal(paper->data, "\x57\x5a\x50\x01", 4);
    assert_memory_equal(paper->data + 4, ((const uint8_t[]){ (uint8_t)json_len, 0, 0, 0 }), 4);
    assert_memory_equal(paper->data + 8, json, json_len);
    assert_memory_equal(paper->data + 8 + json_len, first, sizeof first);
}

/** A crash may come at any moment: what was complete then can be read, and nothing else. */
static void a_file_cut_anywhere_is_read_up_to_there(void **state)
{
    struct paper *paper = *state;
    write_two(paper);
    load(paper);
    const size_t head = paper->len - 12 - 15;
    for (size_t cut = 0; cut < paper->len; cut++) {
        struct client_capture_reader reader;
        struct client_capture_packet packet;
        uint8_t *copy = malloc(cut ? cut : 1); /* the sanitizer sees a read past it */
        assert_non_null(copy);
        memcpy(copy, paper->data, cut);
        const int opened = client_capture_open(&reader, wz_bytes(copy, cut));
        assert_int_equal(opened, cut < head ? -EBADMSG : 0);
        size_t packets = 0;
        int more = 0;
        while (opened == 0 && (more = client_capture_next(&reader, &packet)) > 0)
            packets++;
        assert_int_equal(packets, cut >= head + 15 ? 1 : 0);
        if (opened == 0)
            assert_int_equal(more, cut == head || cut == head + 15 ? 0 : -ENODATA);
        free(copy);
    }
}

static void a_writer_that_vanishes_leaves_what_it_wrote(void **state)
{
    struct paper *paper = *state;
    struct client_capture_writer *writer;
    assert_int_equal(client_capture_create(&writer, paper->path, &info), 0);
    assert_int_equal(client_capture_write(writer, 1, wz_bytes("abc", 3)), 0);
    load(paper); /* before it is closed */
    struct client_capture_reader reader;
    struct client_capture_packet packet;
    assert_int_equal(client_capture_open(&reader, wz_bytes(paper->data, paper->len)), 0);
    assert_int_equal(client_capture_next(&reader, &packet), 1);
    assert_int_equal(client_capture_next(&reader, &packet), 0);
    assert_int_equal(client_capture_close(writer), 0);
}

static void refuses(const char *bytes, size_t len, const char *why)
{
    struct client_capture_reader reader;
    assert_int_equal(client_capture_open(&reader, wz_bytes(bytes, len)), -EBADMSG);
    if (!strstr(reader.why, why))
        fail_msg("%s, not %s", reader.why, why);
}

static void what_is_no_capture_is_refused_at_its_byte(void **state)
{
    (void)state;
    refuses("", 0, "expected 57 5A 50 01 at byte 0");
    refuses("RIFF", 4, "expected 57 5A 50 01 at byte 0");
    refuses("WZP\2", 4, "expected 57 5A 50 01 at byte 0");
    refuses("WZP\1\2\0", 6, "ends in the header's length at byte 4");
    refuses("WZP\1\xff\xff\xff\xff", 8, "longer than 65536 bytes at byte 4");
    refuses("WZP\1\5\0\0\0{}", 10, "ends in the header at byte 4");
    refuses("WZP\1\2\0\0\0[]", 10, "no JSON object at byte 4");
    refuses("WZP\1\2\0\0\0{}", 10, "not of version 1 at byte 4");
    refuses("WZP\1\x0d\0\0\0{\"version\":2}", 21, "not of version 1 at byte 4");
}

static void packet_lengths_are_taken_up_to_the_limit(void **state)
{
    (void)state;
    static const char head[] = "WZP\1\x0d\0\0\0{\"version\":1}";
    static uint8_t file[sizeof head - 1 + 12 + CLIENT_CAPTURE_PACKET_MAX];
    struct client_capture_reader reader;
    struct client_capture_packet packet;
    memcpy(file, head, sizeof head - 1);
    uint8_t *length = file + sizeof head - 1 + 8;
    put_le(length, CLIENT_CAPTURE_PACKET_MAX, 4);
    assert_int_equal(client_capture_open(&reader, wz_bytes(file, sizeof file)), 0);
    assert_int_equal(client_capture_next(&reader, &packet), 1);
    assert_int_equal(packet.datagram.len, CLIENT_CAPTURE_PACKET_MAX);
    put_le(length, CLIENT_CAPTURE_PACKET_MAX + 1, 4);
    assert_int_equal(client_capture_open(&reader, wz_bytes(file, sizeof file)), 0);
    assert_int_equal(client_capture_next(&reader, &packet), -EBADMSG);
    assert_non_null(strstr(reader.why, "longer than 65535 bytes at byte 21"));
}

static void what_cannot_be_written_is_an_error(void **state)
{
    const struct paper *paper = *state;
    struct client_capture_writer *writer;
    static uint8_t large[CLIENT_CAPTURE_PACKET_MAX + 1];
    assert_int_equal(client_capture_create(&writer, "/nonexistent/file", &info), -ENOENT);
    assert_int_equal(client_capture_create(&writer, paper->path, &(struct client_capture_info){ .room = "\xff" }),
                     -EINVAL);
    assert_int_equal(client_capture_create(&writer, "/dev/full", &info), -ENOSPC);
    assert_int_equal(client_capture_create(&writer, paper->path, &info), 0);
    assert_int_equal(client_capture_write(writer, 1, wz_bytes(large, sizeof large)), -EMSGSIZE);
    assert_int_equal(client_capture_write(writer, 1, wz_bytes(large, 5)), 0);
    assert_int_equal(client_capture_close(writer), 0);
}

static void start_time_is_a_time_with_its_zone(void **state)
{
    (void)state;
    char text[CLIENT_CAPTURE_TEXT_MAX];
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, rest = 0;
    client_capture_now(text);
    assert_int_equal(
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%*9d+00:00%n", &year, &month, &day, &hour, &minute, &second, &rest), 6);
    assert_int_equal(rest, strlen(text));
    assert_true(year > 2020 && month <= 12 && day <= 31);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, new_paper, end_paper)
    const struct CMUnitTest tests[] = {
        STORY(what_was_written_is_read_back),
        STORY(the_bytes_are_those_of_the_format),
        STORY(a_file_cut_anywhere_is_read_up_to_there),
        STORY(a_writer_that_vanishes_leaves_what_it_wrote),
        cmocka_unit_test(what_is_no_capture_is_refused_at_its_byte),
        cmocka_unit_test(packet_lengths_are_taken_up_to_the_limit),
        STORY(what_cannot_be_written_is_an_error),
        cmocka_unit_test(start_time_is_a_time_with_its_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
