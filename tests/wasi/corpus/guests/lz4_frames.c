/* lz4 compress LEVEL|decompress: frames, from standard input to standard output. Exit code 1 for
 * damaged input. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 20000 };
static char input[CHUNK], output[CHUNK * 4 + (1 << 17)];

static int fail(size_t code) {
  fprintf(stderr, "error: %s\n", LZ4F_getErrorName(code));
  return 1;
}

static int put(size_t size) {
  if (LZ4F_isError(size)) return fail(size);
  return fwrite(output, 1, size, stdout) == size ? 0 : 2;
}

static int compress(int level) {
  LZ4F_preferences_t preferences = {.compressionLevel = level};
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  LZ4F_cctx *context;
  LZ4F_createCompressionContext(&context, LZ4F_VERSION);
  int code = put(LZ4F_compressBegin(context, output, sizeof output, &preferences));
  for (size_t size; !code && (size = fread(input, 1, sizeof input, stdin)) > 0;)
    code = put(LZ4F_compressUpdate(context, output, sizeof output, input, size, NULL));
  if (!code) code = put(LZ4F_compressEnd(context, output, sizeof output, NULL));
  LZ4F_freeCompressionContext(context);
  return code ? code : fflush(stdout) ? 2 : 0;
}

static int decompress(void) {
  LZ4F_dctx *context;
  LZ4F_createDecompressionContext(&context, LZ4F_VERSION);
  size_t rest = 1;
  for (size_t size; (size = fread(input, 1, sizeof input, stdin)) > 0;) {
    for (size_t at = 0; at < size;) {
      size_t taken = size - at, made = sizeof output;
      rest = LZ4F_decompress(context, output, &made, input + at, &taken, NULL);
      if (LZ4F_isError(rest)) return fail(rest);
      at += taken;
      int code = put(made);
      if (code) return code;
    }
  }
  LZ4F_freeDecompressionContext(context);
  if (rest) fprintf(stderr, "error: truncated\n");
  return rest ? 1 : fflush(stdout) ? 2 : 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "compress")) return compress(atoi(argv[2]));
  if (argc == 2 && !strcmp(argv[1], "decompress")) return decompress();
  fprintf(stderr, "usage: lz4 compress LEVEL | decompress\n");
  return 2;
}
