package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	hashSize   = 32
)

// A directory is a log as C2SP tlog-tiles lays it out.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// tilePath is where C2SP tlog-tiles puts what x/mod calls t: no height in the path, and entries instead of data.
func tilePath(t tlog.Tile) string {
	path := strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", t.H), "tile/", 1)
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

// stored reads a tile, and says how wide it is: a log may drop a partial tile once the full one is there.
func (d directory) stored(t tlog.Tile) ([]byte, tlog.Tile, error) {
	content, err := os.ReadFile(d.path(tilePath(t)))
	if errors.Is(err, fs.ErrNotExist) && t.W < tileWidth {
		full := t
		full.W = tileWidth
		if content, err := os.ReadFile(d.path(tilePath(full))); err == nil {
			return content, full, nil
		}
	}
	return content, t, err
}

// tile reads a tile of hashes. It judges nothing: that is for those who asked.
func (d directory) tile(t tlog.Tile) ([]byte, error) {
	content, found, err := d.stored(t)
	if err == nil && found.W > t.W && len(content) > t.W*hashSize {
		content = content[:t.W*hashSize]
	}
	return content, err
}

// width is how many of a tile's hashes a tree of this size has.
func width(level int, n, size int64) int {
	return int(min(tileWidth, size>>(tileHeight*max(level, 0))-n*tileWidth))
}

// bundle reads the entries of one bundle.
func (d directory) bundle(n, size int64) ([][]byte, error) {
	t := tlog.Tile{H: tileHeight, L: -1, N: n, W: width(-1, n, size)}
	content, found, err := d.stored(t)
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, found.W)
	for len(content) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(content))
		if end > len(content) {
			break
		}
		entries, content = append(entries, content[2:end]), content[end:]
	}
	if len(content) != 0 || len(entries) != found.W {
		return nil, fmt.Errorf("%s: not a bundle of %d entries", tilePath(found), found.W)
	}
	return entries[:t.W], nil
}

func (d directory) entry(index, size int64) ([]byte, error) {
	if index < 0 || index >= size {
		return nil, fmt.Errorf("no entry %d in a log of %d", index, size)
	}
	entries, err := d.bundle(index/tileWidth, size)
	if err != nil {
		return nil, err
	}
	return entries[index%tileWidth], nil
}

// entries calls visit with every entry in order.
func (d directory) entries(size int64, visit func(index int64, entry []byte) error) error {
	for n := int64(0); n*tileWidth < size; n++ {
		entries, err := d.bundle(n, size)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if err := visit(n*tileWidth+int64(i), entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// readProof takes a C2SP tlog-proof file apart.
func readProof(path string) (index int64, hashes [][]byte, signed []byte, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, nil, err
	}
	top, rest, found := strings.Cut(string(content), "\n\n")
	lines := strings.Split(top, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, nil, nil, fmt.Errorf("not a proof file")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	number, found := strings.CutPrefix(lines[0], "index ")
	if index, err = strconv.ParseInt(number, 10, 64); err != nil || !found {
		return 0, nil, nil, fmt.Errorf("proof file without an index")
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != hashSize {
			return 0, nil, nil, fmt.Errorf("not a hash in the proof file: %q", line)
		}
		hashes = append(hashes, hash)
	}
	return index, hashes, []byte(rest), nil
}
