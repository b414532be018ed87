package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// transparencyDev judges with the formats and merkle packages of transparency-dev.
type transparencyDev struct{}

func (transparencyDev) checkpoint(signed []byte, key string, cosigners []string) (head, error) {
	known, err := formats.NewVerifier(key)
	if err != nil {
		return head{}, err
	}
	witnesses := make([]note.Verifier, len(cosigners))
	for i, cosigner := range cosigners {
		if witnesses[i], err = cosignatureVerifier(cosigner); err != nil {
			return head{}, err
		}
	}
	opened, _, signatures, err := log.ParseCheckpoint(signed, known.Name(), known, witnesses...)
	if err != nil {
		return head{}, err
	}
	at := head{Origin: opened.Origin, Size: int64(opened.Size), Root: opened.Hash}
	for _, witness := range witnesses {
		found := false
		for _, signature := range signatures.Sigs {
			if signature.Name == witness.Name() && signature.Hash == witness.KeyHash() {
				when, err := formats.CoSigV1Timestamp(signature)
				if err != nil {
					return head{}, err
				}
				at.Cosigners, at.Timestamps = append(at.Cosigners, witness.Name()), append(at.Timestamps, when.Unix())
				found = true
			}
		}
		if !found {
			return head{}, fmt.Errorf("not cosigned by %s", witness.Name())
		}
	}
	return at, nil
}

// cosignatureVerifier reads a verifier key of type 4, as C2SP tlog-cosignature has it. The constructor in Debian's
// version wants the same key as type 1 and derives the cosigner's key id itself.
func cosignatureVerifier(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != 4 {
		return nil, errors.New("not a verifier key of type 4")
	}
	plain, err := note.NewEd25519VerifierKey(parts[0], ed25519.PublicKey(material[1:]))
	if err != nil {
		return nil, err
	}
	witness, err := formats.NewVerifierForCosignatureV1(plain)
	if err == nil && fmt.Sprintf("%08x", witness.KeyHash()) != parts[1] {
		err = fmt.Errorf("key id of %s does not fit its key", parts[0])
	}
	return witness, err
}

func (transparencyDev) inclusion(log directory, at head, index int64, entry []byte) error {
	nodes, err := proof.Inclusion(uint64(index), uint64(at.Size))
	if err != nil {
		return err
	}
	hashes, err := log.nodes(nodes, at.Size)
	if err != nil {
		return err
	}
	return transparencyDev{}.given(at, index, entry, hashes)
}

func (transparencyDev) consistency(log directory, old, at head) error {
	nodes, err := proof.Consistency(uint64(old.Size), uint64(at.Size))
	if err != nil {
		return err
	}
	hashes, err := log.nodes(nodes, at.Size)
	if err != nil {
		return err
	}
	return proof.VerifyConsistency(
		rfc6962.DefaultHasher, uint64(old.Size), uint64(at.Size), hashes, old.Root, at.Root)
}

func (transparencyDev) given(at head, index int64, entry []byte, hashes [][]byte) error {
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(at.Size), leaf, hashes, at.Root)
}

// audit recomputes every hash tile as well as the root.
func (transparencyDev) audit(log directory, at head) error {
	hasher := rfc6962.DefaultHasher
	edge := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	stored := map[uint][]byte{} // By tile level, in order.
	keep := func(id compact.NodeID, hash []byte) {
		if id.Level%tileHeight == 0 {
			stored[id.Level/tileHeight] = append(stored[id.Level/tileHeight], hash...)
		}
	}
	err := log.entries(at.Size, func(_ int64, entry []byte) error { return edge.Append(hasher.HashLeaf(entry), keep) })
	if err != nil {
		return err
	}
	root, err := edge.GetRootHash(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, at.Root) {
		return fmt.Errorf("entries have root %x", root)
	}
	for level, hashes := range stored {
		for n := int64(0); len(hashes) > 0; n++ {
			t := tlog.Tile{H: tileHeight, L: int(level), N: n, W: width(int(level), n, at.Size)}
			found, err := log.tile(t)
			if err != nil {
				return err
			}
			if !bytes.Equal(found, hashes[:t.W*hashSize]) {
				return fmt.Errorf("%s differs from its entries", tilePath(t))
			}
			hashes = hashes[t.W*hashSize:]
		}
	}
	return nil
}

// nodes reads the hashes of a proof from tiles. They are authenticated by what is proven with them.
func (d directory) nodes(nodes proof.Nodes, size int64) ([][]byte, error) {
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		hash, err := d.node(int(id.Level), int64(id.Index), size)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// node computes one hash from the tile whose lowest hashes are at or below it.
func (d directory) node(level int, index, size int64) ([]byte, error) {
	height := level % tileHeight
	first := index << height
	t := tlog.Tile{H: tileHeight, L: level / tileHeight, N: first / tileWidth}
	t.W = width(t.L, t.N, size)
	content, err := d.tile(t)
	if err != nil {
		return nil, err
	}
	start, count := int(first%tileWidth), 1<<height
	if len(content) != t.W*hashSize || start+count > t.W {
		return nil, fmt.Errorf("%s: not a tile of %d hashes", tilePath(t), t.W)
	}
	edge := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i := start; i < start+count; i++ {
		if err := edge.Append(content[i*hashSize:(i+1)*hashSize], nil); err != nil {
			return nil, err
		}
	}
	return edge.GetRootHash(nil)
}
