package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What was written, for those who read it.
type written struct {
	Key     string `json:"key"`
	Witness string `json:"witness"`
}

// write makes a log of entries "entry 0", "entry 1" and so on: its tiles by x/mod, its checkpoints signed by x/mod and
// cosigned by transparency-dev's code, and the proofs of transparency-dev's tree beside them.
func write(a arguments) (any, error) {
	out := directory(a.out)
	hashes, tree := &stored{}, testonly.New(rfc6962.DefaultHasher)
	bundles := map[int64][]byte{}
	for i := int64(0); i < a.size; i++ {
		entry := []byte(fmt.Sprintf("entry %d", i))
		if err := hashes.add(i, entry); err != nil {
			return nil, err
		}
		tree.AppendData(entry)
		n := i / tileWidth
		bundles[n] = append(binary.BigEndian.AppendUint16(bundles[n], uint16(len(entry))), entry...)
	}
	for n, content := range bundles {
		t := tlog.Tile{H: tileHeight, L: -1, N: n, W: width(-1, n, a.size)}
		if err := out.save(tilePath(t), content); err != nil {
			return nil, err
		}
	}
	for _, t := range tlog.NewTiles(tileHeight, 0, a.size) {
		content, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return nil, err
		}
		if err := out.save(tilePath(t), content); err != nil {
			return nil, err
		}
	}
	return writeSigned(a, hashes, tree)
}

func writeSigned(a arguments, hashes *stored, tree *testonly.Tree) (any, error) {
	out := directory(a.out)
	private, key, err := note.GenerateKey(rand.Reader, a.origin)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, err
	}
	witnessPrivate, witnessPlain, err := note.GenerateKey(rand.Reader, a.witness)
	if err != nil {
		return nil, err
	}
	witness, err := formats.NewSignerForCosignatureV1(witnessPrivate)
	if err != nil {
		return nil, err
	}
	var newest []byte
	for name, size := range map[string]int64{"checkpoint": a.size, "checkpoint.old": a.oldSize} {
		root, err := tlog.TreeHash(size, hashes)
		if err != nil {
			return nil, err
		}
		text := log.Checkpoint{Origin: a.origin, Size: uint64(size), Hash: root[:]}.Marshal()
		signed, err := note.Sign(&note.Note{Text: string(text)}, signer, witness)
		if err != nil {
			return nil, err
		}
		if err := out.save(name, signed); err != nil {
			return nil, err
		}
		if name == "checkpoint" {
			newest = signed
		}
	}
	included, err := tree.InclusionProof(uint64(a.index), uint64(a.size))
	if err != nil {
		return nil, err
	}
	top := "c2sp.org/tlog-proof@v1\nindex " + strconv.FormatInt(a.index, 10) + "\n" + lines(included) + "\n"
	if err := out.save("entry.tlog-proof", append([]byte(top), newest...)); err != nil {
		return nil, err
	}
	consistent, err := tree.ConsistencyProof(uint64(a.oldSize), uint64(a.size))
	if err != nil {
		return nil, err
	}
	if err := out.save("consistency", []byte(lines(consistent))); err != nil {
		return nil, err
	}
	return written{Key: key, Witness: cosignerKey(witnessPlain, witness)}, nil
}

// cosignerKey is the witness's verifier key of type 4, from that of type 1: neither package writes one.
func cosignerKey(plain string, witness *formats.Signer) string {
	material, err := base64.StdEncoding.DecodeString(strings.SplitN(plain, "+", 3)[2])
	if err != nil {
		panic(err)
	}
	material[0] = 4
	return fmt.Sprintf(
		"%s+%08x+%s", witness.Name(), witness.KeyHash(), base64.StdEncoding.EncodeToString(material))
}

func lines(hashes [][]byte) string {
	var text strings.Builder
	for _, hash := range hashes {
		text.WriteString(base64.StdEncoding.EncodeToString(hash) + "\n")
	}
	return text.String()
}

func (d directory) save(name string, content []byte) error {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
