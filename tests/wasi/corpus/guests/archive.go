// Packs the folder `/data/in` into a zip archive and a tar archive, and reads both again.
package main

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(3)
	}
}

func main() {
	root := flag.String("root", "/data/in", "the folder")
	flag.Parse()

	file, err := os.Create("/data/out.zip")
	check(err)
	zipped := zip.NewWriter(file)
	check(zipped.AddFS(os.DirFS(*root)))
	check(zipped.Close())
	check(file.Close())

	file, err = os.Create("/data/out.tar")
	check(err)
	packed := tar.NewWriter(file)
	check(filepath.WalkDir(*root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(*root, path)
		header := tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}
		return errors.Join(packed.WriteHeader(&header), write(packed, data))
	}))
	check(packed.Close())
	check(file.Close())

	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	reader, err := zip.OpenReader("/data/out.zip")
	check(err)
	for _, entry := range reader.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		content, err := entry.Open()
		check(err)
		fmt.Fprintf(table, "%s\t%d\t%08x\t\n", entry.Name, entry.UncompressedSize64, sum(content))
	}
	check(table.Flush())
	file, err = os.Open("/data/out.tar")
	check(err)
	for entries := tar.NewReader(file); ; {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		check(err)
		fmt.Printf("%s %d %08x\n", header.Name, header.Size, sum(entries))
	}
	_, err = zip.OpenReader("/data/out.tar")
	fmt.Println(errors.Is(err, zip.ErrFormat))
}

func write(to io.Writer, data []byte) error {
	_, err := to.Write(data)
	return err
}

func sum(content io.Reader) uint32 {
	hash := fnv.New32a()
	_, err := io.Copy(hash, content)
	check(err)
	return hash.Sum32()
}
