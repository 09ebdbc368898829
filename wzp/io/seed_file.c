#include "wzp/io/seed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** 64 digits and generous white space; a longer file is something else. */
#define FILE_MAX_BYTES 256

/** 0, -ENOENT when there is none, -EBADMSG when it is not a seed. */
static int read_seed(const char *path, uint8_t ret[static WZP_SEED_BYTES], bool *ret_loose)
{
    char text[FILE_MAX_BYTES + 1];
    struct stat info;
    int err = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const ssize_t len = read(fd, text, sizeof text);
    if (len < 0 || fstat(fd, &info) != 0)
        err = -errno;
    close(fd);
    if (err)
        return err;
    if ((size_t)len > FILE_MAX_BYTES || memchr(text, '\0', (size_t)len))
        return -EBADMSG;
    text[len] = '\0';
    err = wzp_seed_parse(text, ret);
    explicit_bzero(text, sizeof text);
    if (!err && ret_loose)
        *ret_loose = (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    return err;
}

int wzp_make_parent_dirs(const char *path)
{
    char dir[PATH_MAX];
    const size_t len = strlen(path);
    if (len >= sizeof dir)
        return -ENAMETOOLONG;
    memcpy(dir, path, len + 1);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(dir, 0700) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/** Write a fresh seed beside path, then give it its name, unless somebody was faster: -EEXIST. */
static int create_seed(const char *path, const struct wz_rng *rng)
{
    char temp[PATH_MAX], text[66];
    uint8_t seed[WZP_SEED_BYTES];
    if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
        return -ENAMETOOLONG;
    const int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -errno;
    wz_rng_fill(rng, seed, sizeof seed);
    wzp_seed_format(seed, text);
    text[64] = '\n';
    int err = write_all(fd, text, 65);
    close(fd);
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(text, sizeof text);
    if (!err && link(temp, path) != 0) { /* unlike rename(), link() never replaces */
        err = -errno;
        if (err == -EPERM && rename(temp, path) == 0) /* a file system without hard links */
            err = 0;
    }
    unlink(temp);
    return err;
}

int wzp_seed_file_load(const char *path, const struct wz_rng *rng, uint8_t ret[static WZP_SEED_BYTES],
                       bool *ret_created, bool *ret_loose)
{
    bool created = false;
    int err = read_seed(path, ret, ret_loose);
    if (err == -ENOENT) {
        if ((err = wzp_make_parent_dirs(path)) != 0)
            return err;
        err = create_seed(path, rng);
        created = err == 0;
        if (err && err != -EEXIST)
            return err;
        err = read_seed(path, ret, ret_loose);
    }
    if (!err && ret_created)
        *ret_created = created;
    return err;
}
