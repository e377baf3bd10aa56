/* zstd compress LEVEL|decompress: from standard input to standard output.
 * zstd check LEVEL: compresses and decompresses standard input, and prints sizes and the checksum.
 * Exit code 1 for damaged input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { CHUNK = 20000 };
static unsigned char input[CHUNK], output[CHUNK];

static int fail(size_t code) {
  fprintf(stderr, "error: %s\n", ZSTD_getErrorName(code));
  return 1;
}

static int compress(int level) {
  ZSTD_CCtx *context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  for (int is_last = 0; !is_last;) {
    ZSTD_inBuffer in = {input, fread(input, 1, sizeof input, stdin), 0};
    is_last = feof(stdin);
    size_t rest;
    do {
      ZSTD_outBuffer out = {output, sizeof output, 0};
      rest = ZSTD_compressStream2(context, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(rest)) return fail(rest);
      if (fwrite(output, 1, out.pos, stdout) != out.pos) return 2;
    } while (is_last ? rest > 0 : in.pos < in.size);
  }
  ZSTD_freeCCtx(context);
  return fflush(stdout) ? 2 : 0;
}

static int decompress(void) {
  ZSTD_DCtx *context = ZSTD_createDCtx();
  size_t rest = 1;
  ZSTD_inBuffer in = {input, 0, 0};
  while ((in.size = fread(input, 1, sizeof input, stdin)) > 0) {
    for (in.pos = 0; in.pos < in.size;) {
      ZSTD_outBuffer out = {output, sizeof output, 0};
      rest = ZSTD_decompressStream(context, &out, &in);
      if (ZSTD_isError(rest)) return fail(rest);
      if (fwrite(output, 1, out.pos, stdout) != out.pos) return 2;
    }
  }
  ZSTD_freeDCtx(context);
  if (rest) fprintf(stderr, "error: truncated\n");
  return rest ? 1 : fflush(stdout) ? 2 : 0;
}

static int check(int level) {
  size_t room = 1 << 22, size = 0, count;
  char *text = malloc(room);
  while ((count = fread(text + size, 1, room - size, stdin)) > 0) size += count;
  size_t bound = ZSTD_compressBound(size);
  char *packed = malloc(bound), *unpacked = malloc(size);
  size_t packed_size = ZSTD_compress(packed, bound, text, size, level);
  if (ZSTD_isError(packed_size)) return fail(packed_size);
  size_t unpacked_size = ZSTD_decompress(unpacked, size, packed, packed_size);
  if (ZSTD_isError(unpacked_size)) return fail(unpacked_size);
  int is_same = unpacked_size == size && !memcmp(text, unpacked, size);
  printf("%zu bytes, smaller %d, same %d\n", size, packed_size < size, is_same);
  return !is_same;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "compress")) return compress(atoi(argv[2]));
  if (argc == 2 && !strcmp(argv[1], "decompress")) return decompress();
  if (argc == 3 && !strcmp(argv[1], "check")) return check(atoi(argv[2]));
  fprintf(stderr, "usage: zstd compress LEVEL | decompress | check LEVEL\n");
  return 2;
}
