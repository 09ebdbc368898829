/* The driver of a fuzz target when libFuzzer is not linked: runs the target once over every file of the
 * directories given as arguments and prints "N inputs". A missing or empty directory is a failure, so that a
 * corpus cannot get lost unnoticed. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_PATH_MAX  4096
#define REPLAY_INPUT_MAX (16u << 20)

/** 1: replayed; 0: not a regular file; -1: could not be read (said on stderr). */
static int replay_file(const char *path)
{
    struct stat info;
    uint8_t *data = NULL;
    FILE *file = NULL;
    int result = -1;

    if (stat(path, &info) < 0)
        goto out;
    if (!S_ISREG(info.st_mode))
        return 0;
    size_t size = (size_t)info.st_size;
    if (size > REPLAY_INPUT_MAX) {
        errno = EFBIG;
        goto out;
    }
    /* An allocation of the exact size lets the sanitizer see a read one past the end. */
    data = malloc(size ? size : 1);
    file = fopen(path, "rb");
    if (!data || !file || fread(data, 1, size, file) != size)
        goto out;
    (void)LLVMFuzzerTestOneInput(data, size); /* the result is reserved by libFuzzer and always 0 */
    result = 1;
out:
    if (result < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (file)
        fclose(file);
    free(data);
    return result;
}

/** Number of inputs, or -1. */
static int replay_directory(const char *path)
{
    struct dirent **entry = NULL;
    int entries = scandir(path, &entry, NULL, alphasort);
    int inputs = 0;

    if (entries < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < entries; i++) {
        char file[REPLAY_PATH_MAX];
        int len = snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        int got = -1;
        if (len > 0 && (size_t)len < sizeof file)
            got = replay_file(file);
        inputs = got < 0 || inputs < 0 ? -1 : inputs + got;
        free(entry[i]);
    }
    free(entry);
    if (inputs == 0) {
        fprintf(stderr, "%s: no inputs\n", path);
        return -1;
    }
    return inputs;
}

int main(int argc, char **argv)
{
    int total = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        int inputs = replay_directory(argv[i]);
        if (inputs < 0)
            return 1;
        total += inputs;
    }
    printf("%d inputs\n", total);
    return 0;
}
