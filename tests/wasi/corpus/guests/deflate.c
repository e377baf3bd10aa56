/* deflate compress FROM TO LEVEL | decompress FROM TO: gzip files by libdeflate, which has all of a
 * file in memory. Exit code 1 for damaged input. */
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 23 };

static size_t read_file(const char *path, char *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(2);
  }
  size_t size = fread(bytes, 1, ROOM, file);
  fclose(file);
  return size;
}

static int write_file(const char *path, const char *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  return file && fwrite(bytes, 1, size, file) == size && !fclose(file) ? 0 : 2;
}

int main(int argc, char **argv) {
  char *in = malloc(ROOM), *out = malloc(ROOM);
  size_t made = 0;
  if (argc == 5 && !strcmp(argv[1], "compress")) {
    size_t size = read_file(argv[2], in);
    struct libdeflate_compressor *tool = libdeflate_alloc_compressor(atoi(argv[4]));
    made = libdeflate_gzip_compress(tool, in, size, out, ROOM);
    printf("crc32 %08x, %zu bytes\n", libdeflate_crc32(0, in, size), size);
    libdeflate_free_compressor(tool);
  } else if (argc == 4 && !strcmp(argv[1], "decompress")) {
    size_t size = read_file(argv[2], in);
    struct libdeflate_decompressor *tool = libdeflate_alloc_decompressor();
    enum libdeflate_result result = libdeflate_gzip_decompress(tool, in, size, out, ROOM, &made);
    libdeflate_free_decompressor(tool);
    if (result != LIBDEFLATE_SUCCESS) {
      fprintf(stderr, "error %d\n", result);
      return 1;
    }
  } else {
    fprintf(stderr, "usage: deflate compress FROM TO LEVEL | decompress FROM TO\n");
    return 2;
  }
  return write_file(argv[3], out, made);
}
