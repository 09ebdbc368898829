/* The relay's settings file: no crash, every refusal has a reason and a line in order, and what was read prints to a
 * text that reads as the same. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A program's files are in no library. */
#include "wzp/bin/relay_mistakes.c"
#include "wzp/bin/relay_settings.c"
#include "wzp/bin/relay_settings_file.c"
#include "wzp/bin/relay_toml.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void print_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\')
            (void)fprintf(out, "\\u%04x", (unsigned char)*p);
        else
            (void)fputc(*p, out);
    }
    (void)fputc('"', out);
}

static void print_entry(FILE *out, const struct relay_toml_entry *entry)
{
    const struct relay_toml_value *value = &entry->value;
    (void)fprintf(out, "%s = ", entry->key);
    switch (value->type) {
    case RELAY_TOML_STRING:
        print_string(out, value->text);
        break;
    case RELAY_TOML_INTEGER:
        (void)fprintf(out, "%lld", (long long)value->integer);
        break;
    case RELAY_TOML_BOOLEAN:
        (void)fputs(value->boolean ? "true" : "false", out);
        break;
    case RELAY_TOML_STRINGS:
        (void)fputc('[', out);
        for (size_t i = 0; i < value->count; i++) {
            print_string(out, value->item[i]);
            (void)fputc(',', out);
        }
        (void)fputc(']', out);
        break;
    }
    (void)fputc('\n', out);
}

static char *print_toml(const struct relay_toml *toml, size_t *ret_len)
{
    char *text = NULL;
    size_t next = 0;
    FILE *out = open_memstream(&text, ret_len);
    require(out != NULL);
    for (size_t table = 0; table <= toml->table_count; table++) {
        if (table > 0)
            (void)fprintf(out, "[[%s]]\n", toml->table[table - 1].name);
        for (; next < toml->count && toml->entry[next].table == table; next++)
            print_entry(out, &toml->entry[next]);
    }
    require(next == toml->count);
    (void)fclose(out);
    return text;
}

static void check_round_trip(const struct relay_toml *toml)
{
    struct relay_mistakes mistakes = { .count = 0 };
    struct relay_toml again;
    size_t len, again_len;
    char *text = print_toml(toml, &len);
    if (len <= RELAY_TOML_MAX_BYTES) { /* escapes are longer than what they stand for */
        require(relay_toml_parse(wz_bytes(text, len), &again, &mistakes) == 0 && mistakes.count == 0);
        char *again_text = print_toml(&again, &again_len);
        require(len == again_len && memcmp(text, again_text, len) == 0);
        free(again_text);
        relay_toml_done(&again);
    }
    free(text);
}

static void check_settings(const struct relay_settings *settings)
{
    require(settings->max_sessions >= 1 && settings->source_waiting >= 1 && settings->ring_ms >= 1000);
    require(settings->listen.family != WZ_ADDR_NONE);
    require(!settings->auth_url || wz_http_post_takes_url(settings->auth_url));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct relay_mistakes mistakes, notes; /* large */
    struct relay_settings settings;
    struct relay_toml toml;
    mistakes.kept = mistakes.count = notes.kept = notes.count = 0;
    require(relay_toml_parse(wz_bytes(data, size), &toml, &mistakes) == 0);
    check_round_trip(&toml);
    relay_toml_done(&toml);

    mistakes.kept = mistakes.count = 0;
    require(relay_settings_init(&settings) == 0);
    require(relay_settings_parse(&settings, wz_bytes(data, size), &mistakes, &notes) == 0);
    for (size_t i = 0; i < mistakes.kept; i++) {
        require(mistakes.item[i].text[0] != '\0');
        require(i == 0 || mistakes.item[i - 1].line <= mistakes.item[i].line);
    }
    check_settings(&settings);
    relay_settings_done(&settings);
    return 0;
}
