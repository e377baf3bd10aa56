// The standard library's formats: JSON, templates, regular expressions, CSV, gzip, hashes, large
// integers, times. Reads standard input.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

type item struct {
	Name string   `json:"name"`
	Size float64  `json:"size"`
	Tags []string `json:"tags,omitempty"`
}

func main() {
	words := map[string]int{}
	lines := bufio.NewScanner(os.Stdin)
	letters := regexp.MustCompile(`\p{L}+`)
	for lines.Scan() {
		for _, word := range letters.FindAllString(lines.Text(), -1) {
			words[strings.ToLower(word)]++
		}
	}
	names := []string{}
	for word := range words {
		names = append(names, word)
	}
	slices.Sort(names)
	for _, word := range names {
		fmt.Print(word, "=", words[word], " ")
	}
	fmt.Println()

	var items []item
	text := `[{"name":"a","size":1.5,"tags":["x","y"]},{"name":"\u00e4","size":-2e3}]`
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		panic(err)
	}
	again, _ := json.Marshal(items)
	fmt.Println(string(again), utf8.RuneCountInString(items[1].Name))
	fmt.Println(json.Unmarshal([]byte(`{"name":`), &items[0]))

	show := template.Must(template.New("").Parse("{{range .}}{{.Name | printf \"%q\"}};{{end}}\n"))
	if err := show.Execute(os.Stdout, items); err != nil {
		panic(err)
	}
	rows, err := csv.NewReader(strings.NewReader("a,\"b \"\"c\"\"\"\nd,e\n")).ReadAll()
	fmt.Println(rows, len(rows), err)

	data := bytes.Repeat([]byte("gopher "), 10_000)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	writer.Write(data)
	writer.Close()
	reader, _ := gzip.NewReader(&packed)
	unpacked, err := io.ReadAll(reader)
	fmt.Println(bytes.Equal(data, unpacked), crc32.ChecksumIEEE(data), err)
	sum := sha256.Sum256([]byte("abc"))
	fmt.Println(hex.EncodeToString(sum[:]))

	factorial := new(big.Int).MulRange(1, 30)
	fmt.Println(factorial, new(big.Int).Exp(big.NewInt(3), big.NewInt(100), big.NewInt(1_000_007)))
	moment := time.Unix(1_700_000_000, 0).UTC()
	fmt.Println(moment.Format(time.RFC1123), moment.AddDate(0, 3, 0).Weekday())
}
