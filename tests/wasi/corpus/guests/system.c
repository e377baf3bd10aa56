/* system: the parts of POSIX that wasi-libc has: folders, links, times of files, positions, seek,
 * `poll`, environment, clocks, random bytes, exit handlers. Works in the folder `/data`. With the
 * argument `trap`, it traps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SHOW(call) show(#call, (call))

static void show(const char *call, long result) {
  if (result < 0)
    printf("%s: %s\n", call, strerror(errno));
  else
    printf("%s: %ld\n", call, result);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path) {
  DIR *folder = opendir(path);
  if (!folder) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  char *names[64];
  int count = 0;
  for (struct dirent *entry; count < 64 && (entry = readdir(folder));)
    names[count++] = strdup(entry->d_name);
  closedir(folder);
  qsort(names, count, sizeof *names, by_name);
  printf("%s:", path);
  for (int i = 0; i < count; i++) printf(" %s", names[i]);
  putchar('\n');
}

static void files(void) {
  SHOW(mkdir("a", 0777));
  SHOW(mkdir("a", 0777));
  SHOW(mkdir("a/b/c", 0777));
  int file = open("a/file", O_RDWR | O_CREAT | O_EXCL, 0666);
  SHOW(write(file, "0123456789", 10));
  SHOW(lseek(file, -4, SEEK_END));
  char bytes[16] = {0};
  SHOW(read(file, bytes, 2));
  printf("read %.2s\n", bytes);
  SHOW(pwrite(file, "xy", 2, 2));
  SHOW(pread(file, bytes, 4, 1));
  printf("pread %.4s\n", bytes);
  SHOW(lseek(file, 0, SEEK_CUR));
  SHOW(lseek(file, -100, SEEK_CUR));
  struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
  /* It may write less than all. */
  SHOW(writev(file, parts, 3) >= 2);
  SHOW(ftruncate(file, 6));
  struct timespec times[] = {{1000000000, 123456789}, {1500000000, 5}};
  SHOW(futimens(file, times));
  struct stat status;
  SHOW(fstat(file, &status));
  printf("size %ld, modified %ld.%09ld, file %d\n", (long)status.st_size,
         (long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, S_ISREG(status.st_mode));
  SHOW(fcntl(file, F_GETFL) & O_APPEND);
  SHOW(close(file));
  SHOW(close(file));
  SHOW(open("a/file", O_RDWR | O_CREAT | O_EXCL, 0666));
  SHOW(open("a/file", O_RDONLY | O_DIRECTORY));
  SHOW(open("missing", O_RDONLY));
  SHOW(read(open("a", O_RDONLY), bytes, 1));
  SHOW(symlink("file", "a/link"));
  SHOW(readlink("a/link", bytes, sizeof bytes));
  SHOW(lstat("a/link", &status));
  printf("link %d\n", S_ISLNK(status.st_mode));
  SHOW(stat("a/link", &status));
  printf("size by link %ld\n", (long)status.st_size);
  SHOW(open("a/link", O_RDONLY | O_NOFOLLOW));
  SHOW(link("a/file", "a/second"));
  SHOW(stat("a/second", &status));
  printf("links %ld\n", (long)status.st_nlink);
  SHOW(rename("a/second", "a/third"));
  SHOW(rename("a/none", "a/other"));
  SHOW(access("a/third", R_OK));
  list("a");
  SHOW(rmdir("a"));
  SHOW(unlink("a"));
  SHOW(rmdir("a/file"));
  SHOW(unlink("a/third"));
  SHOW(unlink("a/link"));
  list("a");
  list("none");
  SHOW(open("../outside", O_RDONLY));
  SHOW(open("/outside", O_RDONLY));
  SHOW(symlink("/etc/passwd", "a/absolute"));
  SHOW(symlink("../../outside", "a/escape"));
  SHOW(open("a/escape", O_RDONLY));
}

static void waits(void) {
  struct timespec before, after, nap = {0, 20000000};
  clock_gettime(CLOCK_MONOTONIC, &before);
  SHOW(nanosleep(&nap, NULL));
  clock_gettime(CLOCK_MONOTONIC, &after);
  long passed = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
  printf("slept %d\n", passed >= 20000000 && passed < 20000000000);
  struct pollfd entry = {.fd = 1, .events = POLLOUT};
  SHOW(poll(&entry, 1, 1000));
  printf("writable %d\n", !!(entry.revents & POLLOUT));
  SHOW(poll(NULL, 0, 1));
  struct timespec resolution;
  SHOW(clock_getres(CLOCK_REALTIME, &resolution));
  printf("after 2020: %d\n", time(NULL) > 1577836800);
}

static void at_exit(void) { puts("at exit"); }

__attribute__((noinline)) static void trap(void) { __builtin_trap(); }

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "trap"))
    trap();
  atexit(at_exit);
  printf("arguments %d, last %s\n", argc - 1, argv[argc - 1]);
  printf("NAME is %s, EMPTY is \"%s\", NONE is %s\n", getenv("NAME"), getenv("EMPTY"),
         getenv("NONE") ? "set" : "not set");
  SHOW(chdir("/data"));
  files();
  waits();
  unsigned char one[16] = {0}, two[16] = {0};
  SHOW(getentropy(one, sizeof one));
  SHOW(getentropy(two, sizeof two));
  printf("random differs %d\n", memcmp(one, two, sizeof one) != 0);
  printf("terminal %d%d\n", isatty(0), isatty(1));
  fflush(stdout);
  exit(argc == 3 ? atoi(argv[1]) : 0);
}
