/* See httpd_listen.h. */
#include "wzp/web/httpd_listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "wzp/rt/udp.h"

#define BACKLOG 32

static int unix_name(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (!*path)
        return -EINVAL;
    if (snprintf(ret->sun_path, sizeof ret->sun_path, "%s", path) >= (int)sizeof ret->sun_path)
        return -ENAMETOOLONG;
    return 0;
}

/** What a dead process left behind makes room; anything alive or not a socket stays. */
static int clear_path(const struct sockaddr_un *name)
{
    struct stat st;
    int err = 0;
    int fd;

    if (lstat(name->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 || errno == EAGAIN)
        err = -EADDRINUSE;
    else if (errno != ECONNREFUSED)
        err = -errno;
    (void)close(fd);
    if (!err && unlink(name->sun_path) < 0)
        err = -errno;
    return err;
}

static int bind_unix(int fd, const struct sockaddr_un *name, struct wz_httpd_socket_file *file)
{
    struct stat st;

    /* On Linux the file gets the socket's own mode, so it is never open to others, not even for a moment. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)name, sizeof *name) < 0)
        return -errno;
    (void)snprintf(file->path, sizeof file->path, "%s", name->sun_path);
    file->made = true;
    if (chmod(name->sun_path, 0600) < 0 || stat(name->sun_path, &st) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return 0;
}

int wz_httpd_listen_unix(const char *path, struct wz_httpd_socket_file *ret_file, int *ret_fd)
{
    struct wz_httpd_socket_file file = { 0 };
    struct sockaddr_un name;
    int fd;
    int err = unix_name(path, &name);

    if (!err)
        err = clear_path(&name);
    if (err)
        return err;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    err = bind_unix(fd, &name, &file);
    if (err) {
        if (file.made)
            (void)unlink(file.path);
        (void)close(fd);
        return err;
    }
    *ret_file = file;
    *ret_fd = fd;
    return 0;
}

int wz_httpd_listen_tcp(const struct wz_addr *addr, int *ret_fd, struct wz_addr *ret_local)
{
    struct sockaddr_storage ss;
    socklen_t len = wz_addr_to_sockaddr(addr, &ss);
    const int on = 1;
    int err = 0;
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a quick restart must find its port */
    if (bind(fd, (const struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0)
        err = -errno;
    len = sizeof ss;
    if (!err && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        err = -errno;
    if (err) {
        (void)close(fd);
        return err;
    }
    *ret_local = wz_addr_from_sockaddr((const struct sockaddr *)&ss);
    *ret_fd = fd;
    return 0;
}

void wz_httpd_close(int fd)
{
    (void)close(fd);
}

void wz_httpd_remove_file(struct wz_httpd_socket_file *file)
{
    struct stat st;

    if (file->made && lstat(file->path, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode)
        (void)unlink(file->path);
    file->made = false;
}
