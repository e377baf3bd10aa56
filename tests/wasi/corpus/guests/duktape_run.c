/* duktape [FILE]: runs a script, by default standard input. `print` writes its arguments. Exit code
 * 1 for an error that nothing catches. */
#include "duktape.h"
#include <stdio.h>
#include <stdlib.h>

static duk_ret_t print(duk_context *context) {
  duk_push_string(context, " ");
  duk_insert(context, 0);
  duk_join(context, duk_get_top(context) - 1);
  puts(duk_safe_to_string(context, -1));
  return 0;
}

int main(int argc, char **argv) {
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : stdin;
  if (!file) {
    perror(argv[1]);
    return 2;
  }
  char *text = malloc(1 << 20);
  size_t size = fread(text, 1, 1 << 20, file);
  duk_context *context = duk_create_heap_default();
  duk_push_c_function(context, print, DUK_VARARGS);
  duk_put_global_string(context, "print");
  int code = duk_peval_lstring(context, text, size);
  if (code) fprintf(stderr, "%s\n", duk_safe_to_string(context, -1));
  duk_destroy_heap(context);
  return code ? 1 : 0;
}
