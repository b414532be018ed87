package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// xmod judges with golang.org/x/mod/sumdb note and tlog. It knows no cosignatures.
type xmod struct{}

func (xmod) checkpoint(signed []byte, key string, cosigners []string) (head, error) {
	if len(cosigners) > 0 {
		return head{}, fmt.Errorf("%w: x/mod knows no cosignatures", errUnusable)
	}
	known, err := note.NewVerifier(key)
	if err != nil {
		return head{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(known))
	if err != nil {
		return head{}, err
	}
	// tlog.ParseTree reads the text of the Go checksum database only; C2SP's has an origin in its first line.
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != known.Name() {
		return head{}, fmt.Errorf("origin %q, expected %q", lines[0], known.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != hashSize {
		return head{}, errors.New("not a root hash")
	}
	return head{Origin: lines[0], Size: size, Root: root}, nil
}

func (xmod) inclusion(log directory, at head, index int64, entry []byte) error {
	proof, err := tlog.ProveRecord(at.Size, index, log.hashes(at))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, at.Size, tlog.Hash(at.Root), index, tlog.RecordHash(entry))
}

func (xmod) consistency(log directory, old, at head) error {
	proof, err := tlog.ProveTree(at.Size, old.Size, log.hashes(at))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, at.Size, tlog.Hash(at.Root), old.Size, tlog.Hash(old.Root))
}

func (xmod) given(at head, index int64, entry []byte, hashes [][]byte) error {
	proof := make(tlog.RecordProof, len(hashes))
	for i, hash := range hashes {
		proof[i] = tlog.Hash(hash)
	}
	return tlog.CheckRecord(proof, at.Size, tlog.Hash(at.Root), index, tlog.RecordHash(entry))
}

// audit recomputes every hash tile as well as the root.
func (xmod) audit(log directory, at head) error {
	hashes := &stored{}
	err := log.entries(at.Size, func(index int64, entry []byte) error { return hashes.add(index, entry) })
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(at.Size, hashes)
	if err != nil {
		return err
	}
	if !bytes.Equal(root[:], at.Root) {
		return fmt.Errorf("entries have root %v", root)
	}
	for _, t := range tlog.NewTiles(tileHeight, 0, at.Size) {
		expected, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return err
		}
		found, err := log.tile(t)
		if err != nil {
			return err
		}
		if !bytes.Equal(found, expected) {
			return fmt.Errorf("%s differs from its entries", tilePath(t))
		}
	}
	return nil
}

// hashes are read from tiles, which x/mod authenticates against the root before it uses them.
func (d directory) hashes(at head) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: at.Size, Hash: tlog.Hash(at.Root)}, tileReader(d))
}

type tileReader directory

func (tileReader) Height() int                             { return tileHeight }
func (tileReader) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, t := range tiles {
		content, err := directory(r).tile(t)
		if err != nil {
			return nil, err
		}
		contents[i] = content
	}
	return contents, nil
}

// stored holds the hashes of a tree in the order in which x/mod numbers them.
type stored []tlog.Hash

func (s *stored) add(index int64, entry []byte) error {
	hashes, err := tlog.StoredHashes(index, entry, s)
	*s = append(*s, hashes...)
	return err
}

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = (*s)[index]
	}
	return hashes, nil
}
