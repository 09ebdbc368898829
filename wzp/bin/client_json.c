#include "wzp/bin/client_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#define DECIMALS 1000.0

struct json_t *client_json_new(const char *event, uint64_t t_us)
{
    json_t *line = json_object();
    client_json_put(line, "event", client_json_text(event));
    client_json_put(line, "t_ms", client_json_count(t_us / 1000));
    return line;
}

struct json_t *client_json_text(const char *value)
{
    json_t *string = value ? json_string(value) : json_null();
    return string ? string : json_string("(not UTF-8)");
}

struct json_t *client_json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

struct json_t *client_json_real(double value)
{
    return isfinite(value) ? json_real(round(value * DECIMALS) / DECIMALS) : json_null();
}

void client_json_put(struct json_t *line, const char *key, struct json_t *value)
{
    (void)json_object_set_new(line, key, value); /* NULL-safe; out of memory leaves the field out */
}

void client_json_print(struct json_t *line)
{
    char *dump = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    if (dump)
        puts(dump);
    (void)fflush(stdout); /* a closed pipe is noticed by the main loop */
    free(dump);
    json_decref(line);
}
