/* Where "env:" and "file:" references of the configuration lead; see config.h. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** A password or a seed and a newline; anything longer is the wrong file. */
#define SECRET_FILE_MAX 4096

static int read_env(void *arg, const char *name, char **ret)
{
    const char *value = getenv(name);
    char *copy;

    (void)arg;
    if (!value)
        return -ENOENT;
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

static int read_all(int fd, char *buf, size_t size, size_t *ret_len)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return 0;
}

static int read_file(void *arg, const char *path, char **ret)
{
    char *buf = calloc(1, SECRET_FILE_MAX + 1);
    struct stat st;
    size_t len = 0;
    int fd = -1;
    int err = -ENOMEM;

    (void)arg;
    if (!buf)
        goto out;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up the start */
    if (fd < 0 || fstat(fd, &st) < 0) {
        err = -errno;
        goto out;
    }
    err = S_ISDIR(st.st_mode) ? -EISDIR : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (!err)
        err = read_all(fd, buf, SECRET_FILE_MAX + 1, &len);
    if (!err && len > SECRET_FILE_MAX)
        err = -EFBIG;
    if (!err && memchr(buf, '\0', len))
        err = -EINVAL;
    if (err)
        goto out;
    if (len && buf[len - 1] == '\n') /* editors add one */
        buf[--len] = '\0';
    if (len && buf[len - 1] == '\r')
        buf[--len] = '\0';
    *ret = buf;
    buf = NULL;
out:
    if (fd >= 0)
        (void)close(fd);
    free(buf);
    return err;
}

const struct cfg_secret_source cfg_secrets_system = { .read_env = read_env, .read_file = read_file };
