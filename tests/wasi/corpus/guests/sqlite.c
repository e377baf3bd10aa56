/* sqlite DATABASE [SQL]...: runs statements in a database, and prints each row as `a|b|c`.
 * Without SQL, it reads statements from standard input. Exit code 1 after the first error. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_row(void *unused, int count, char **values, char **names) {
  (void)unused, (void)names;
  for (int i = 0; i < count; i++) printf(i ? "|%s" : "%s", values[i] ? values[i] : "NULL");
  putchar('\n');
  return 0;
}

static char *read_all(FILE *file) {
  size_t length = 0, capacity = 4096;
  char *text = malloc(capacity);
  for (size_t count; (count = fread(text + length, 1, capacity - length - 1, file)) > 0;) {
    length += count;
    if (capacity - length < 2) text = realloc(text, capacity *= 2);
  }
  text[length] = 0;
  return text;
}

static int run(sqlite3 *database, const char *sql) {
  char *message = NULL;
  int code = sqlite3_exec(database, sql, print_row, NULL, &message);
  if (code != SQLITE_OK) {
    printf("error %d: %s\n", code, message ? message : sqlite3_errstr(code));
    sqlite3_free(message);
  }
  return code;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: sqlite DATABASE [SQL]...\n");
    return 2;
  }
  sqlite3 *database;
  if (sqlite3_open(argv[1], &database) != SQLITE_OK) {
    printf("cannot open: %s\n", sqlite3_errmsg(database));
    return 1;
  }
  int code = SQLITE_OK;
  if (argc == 2) code = run(database, read_all(stdin));
  for (int i = 2; i < argc && code == SQLITE_OK; i++) code = run(database, argv[i]);
  sqlite3_close(database);
  return code != SQLITE_OK;
}
