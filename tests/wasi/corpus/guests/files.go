// Files and folders below /data.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func main() {
	must(os.Chdir("/data"))
	must(os.MkdirAll("a/b/c", 0o755))
	for n := range 200 {
		must(os.WriteFile(fmt.Sprintf("a/b/%03d.txt", n), []byte(strings.Repeat("x", n)), 0o644))
	}
	entries, err := os.ReadDir("a/b")
	must(err)
	fmt.Println(len(entries), entries[0].Name(), entries[200].Name(), entries[200].IsDir())

	total := int64(0)
	must(filepath.WalkDir("a", func(path string, entry fs.DirEntry, err error) error {
		must(err)
		info, err := entry.Info()
		if !entry.IsDir() {
			total += info.Size()
		}
		return err
	}))
	fmt.Println("total", total)

	file, err := os.OpenFile("log", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	must(err)
	for n := range 3 {
		fmt.Fprintln(file, "line", n)
	}
	_, err = file.Seek(5, io.SeekStart)
	must(err)
	rest, err := io.ReadAll(file)
	must(err)
	fmt.Printf("%q\n", rest)
	part := make([]byte, 4)
	_, err = file.ReadAt(part, 7)
	must(err)
	fmt.Printf("%q\n", part)
	must(file.Truncate(6))
	must(file.Sync())
	must(file.Close())

	must(os.Symlink("a/b", "link"))
	target, err := os.Readlink("link")
	must(err)
	content, err := os.ReadFile("link/003.txt")
	must(err)
	fmt.Println(target, string(content))

	then := time.Unix(1234567890, 123456789)
	must(os.Chtimes("log", then, then))
	info, err := os.Stat("log")
	must(err)
	fmt.Println(info.Size(), info.ModTime().Equal(then))

	must(os.Rename("a/b", "moved"))
	_, err = os.Stat("a/b")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	fmt.Println(os.Mkdir("moved", 0o755) != nil, os.Remove("moved") != nil)
	_, err = os.Open("../outside")
	fmt.Println(err != nil)
	must(os.RemoveAll("moved"))
	must(os.Remove("link"))
	names, err := filepath.Glob("*")
	must(err)
	fmt.Println(names)
}
