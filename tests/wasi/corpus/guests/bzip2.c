/* bzip2 compress|decompress [FROM TO]: between two files, or from standard input to standard
 * output. Exit code 1 for damaged input, which is reported as `error CODE`. */
#include <bzlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 30000 };

static int is_compressing;

static int step(bz_stream *stream, int action) {
  return is_compressing ? BZ2_bzCompress(stream, action) : BZ2_bzDecompress(stream);
}

static void finish(int code) {
  if (code < 0) {
    fprintf(stderr, "error %d\n", code);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 4) {
    fprintf(stderr, "usage: bzip2 compress|decompress [FROM TO]\n");
    return 2;
  }
  is_compressing = !strcmp(argv[1], "compress");
  FILE *from = argc == 4 ? fopen(argv[2], "rb") : stdin;
  FILE *to = !from ? NULL : argc == 4 ? fopen(argv[3], "wb") : stdout;
  if (!to) {
    perror(from ? argv[3] : argv[2]);
    return 2;
  }
  static char input[CHUNK], output[CHUNK];
  bz_stream stream = {0};
  finish(is_compressing ? BZ2_bzCompressInit(&stream, 9, 0, 0)
                        : BZ2_bzDecompressInit(&stream, 0, 0));
  int code = BZ_OK;
  while (code != BZ_STREAM_END) {
    if (!stream.avail_in) {
      stream.next_in = input;
      stream.avail_in = fread(input, 1, sizeof input, from);
    }
    int is_last = !stream.avail_in && feof(from);
    stream.next_out = output;
    stream.avail_out = sizeof output;
    code = step(&stream, is_last ? BZ_FINISH : BZ_RUN);
    finish(code);
    size_t count = sizeof output - stream.avail_out;
    if (is_last && !is_compressing && !count && code == BZ_OK) finish(BZ_UNEXPECTED_EOF);
    if (fwrite(output, 1, count, to) != count) {
      perror("write");
      return 2;
    }
  }
  return fclose(to) ? 2 : 0;
}
