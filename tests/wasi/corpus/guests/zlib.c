/* zlib compress|decompress LEVEL: from standard input to standard output.
 * zlib gzip|gunzip FROM TO: between two files by zlib's own file functions.
 * Exit code 1 for damaged input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CHUNK = 20000 };
static unsigned char input[CHUNK], output[CHUNK];

static int stream(int is_compressing, int level) {
  z_stream stream = {0};
  int code = is_compressing ? deflateInit(&stream, level) : inflateInit(&stream);
  while (code == Z_OK || code == Z_BUF_ERROR) {
    if (!stream.avail_in) {
      stream.next_in = input;
      stream.avail_in = fread(input, 1, sizeof input, stdin);
    }
    int is_last = !stream.avail_in && feof(stdin);
    stream.next_out = output;
    stream.avail_out = sizeof output;
    code = is_compressing ? deflate(&stream, is_last ? Z_FINISH : Z_NO_FLUSH)
                          : inflate(&stream, Z_NO_FLUSH);
    size_t count = sizeof output - stream.avail_out;
    if (fwrite(output, 1, count, stdout) != count) return 2;
    if (is_last && !count && code != Z_STREAM_END) break;
  }
  if (code != Z_STREAM_END) {
    fprintf(stderr, "error %d: %s\n", code, stream.msg ? stream.msg : "truncated");
    return 1;
  }
  fprintf(stderr, "adler32 %08lx, %lu bytes to %lu\n", stream.adler, stream.total_in,
          stream.total_out);
  return fflush(stdout) ? 2 : 0;
}

static int gzip(const char *from, const char *to) {
  FILE *source = fopen(from, "rb");
  gzFile target = gzopen(to, "wb6");
  if (!source || !target) return 2;
  for (size_t count; (count = fread(input, 1, sizeof input, source)) > 0;)
    if (gzwrite(target, input, count) != (int)count) return 2;
  return gzclose(target) == Z_OK ? 0 : 2;
}

static int gunzip(const char *from, const char *to) {
  gzFile source = gzopen(from, "rb");
  FILE *target = fopen(to, "wb");
  if (!source || !target) return 2;
  int count;
  while ((count = gzread(source, output, sizeof output)) > 0)
    if (fwrite(output, 1, count, target) != (size_t)count) return 2;
  if (count < 0) return 1;
  printf("%ld bytes\n", (long)gztell(source));
  return gzclose(source) == Z_OK && !fclose(target) ? 0 : 2;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "compress")) return stream(1, atoi(argv[2]));
  if (argc == 2 && !strcmp(argv[1], "decompress")) return stream(0, 0);
  if (argc == 4 && !strcmp(argv[1], "gzip")) return gzip(argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "gunzip")) return gunzip(argv[2], argv[3]);
  fprintf(stderr, "usage: zlib compress LEVEL | decompress | gzip FROM TO | gunzip FROM TO\n");
  return 2;
}
