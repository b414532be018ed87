// Two implementations of transparency logs that others wrote, pointed at a log directory as Answerable publishes it:
// golang.org/x/mod/sumdb (the Go checksum database) and transparency-dev (formats and merkle).
//
// It holds no cryptography of its own. What it adds is where the bytes lie: tile paths, entry bundles and proof files
// as C2SP has them, which the x/mod package spells differently and the transparency-dev packages leave to the caller.
//
// Exit status: 0 accepted, 1 refused, 2 could not be judged (usage, a file that is not there).
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A verifier is one implementation's judgement. An error means refused, except for one that wraps errUnusable or
// fs.ErrNotExist.
type verifier interface {
	// checkpoint opens a signed checkpoint; every cosigner asked for must have signed it.
	checkpoint(signed []byte, key string, cosigners []string) (head, error)
	// inclusion proves from tiles that the entry is at the index.
	inclusion(log directory, at head, index int64, entry []byte) error
	// consistency proves from tiles that the old tree is a prefix of the new one.
	consistency(log directory, old, at head) error
	// given checks an inclusion proof that came in a file.
	given(at head, index int64, entry []byte, hashes [][]byte) error
	// audit rebuilds the whole tree from the entry bundles.
	audit(log directory, at head) error
}

// A head is what a checkpoint says.
type head struct {
	Origin     string   `json:"origin"`
	Size       int64    `json:"size"`
	Root       []byte   `json:"root"`
	Cosigners  []string `json:"cosigners"`
	Timestamps []int64  `json:"timestamps"`
}

var errUnusable = errors.New("cannot be judged")

var verifiers = map[string]verifier{"xmod": xmod{}, "transparency-dev": transparencyDev{}}

type words []string

func (w *words) String() string         { return strings.Join(*w, " ") }
func (w *words) Set(value string) error { *w = append(*w, value); return nil }

type arguments struct {
	by, log, key, entry, old, proof, out, origin, witness string
	index, size, oldSize                                  int64
	cosigners                                             words
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("%w: verify, proof, audit or write expected", errUnusable))
	}
	var a arguments
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&a.by, "by", "", "whose code judges: xmod or transparency-dev")
	flags.StringVar(&a.log, "log", "", "log directory")
	flags.StringVar(&a.key, "key", "", "verifier key of the log")
	flags.Var(&a.cosigners, "cosigner", "verifier key of a witness that must have cosigned; may be repeated")
	flags.StringVar(&a.entry, "entry", "", "file with the entry; without it the entry in the bundle is taken")
	flags.StringVar(&a.old, "old", "", "file with an earlier signed checkpoint")
	flags.StringVar(&a.proof, "proof", "", "C2SP tlog-proof file")
	flags.StringVar(&a.out, "out", "", "write: directory to make the log in")
	flags.StringVar(&a.origin, "origin", "", "write: origin of the log")
	flags.StringVar(&a.witness, "witness", "", "write: name of the witness")
	flags.Int64Var(&a.index, "index", 0, "index of the entry")
	flags.Int64Var(&a.size, "size", 0, "write: entries in the log")
	flags.Int64Var(&a.oldSize, "old-size", 0, "write: size of the earlier checkpoint")
	flags.Parse(os.Args[2:])
	answer, err := run(os.Args[1], a)
	if err != nil {
		fail(err)
	}
	json.NewEncoder(os.Stdout).Encode(answer)
}

func run(command string, a arguments) (any, error) {
	if command == "write" {
		return write(a)
	}
	judge, known := verifiers[a.by]
	if !known {
		return nil, fmt.Errorf("%w: no verifier %q", errUnusable, a.by)
	}
	switch command {
	case "verify":
		return verify(judge, a)
	case "proof":
		return verifyProof(judge, a)
	case "audit":
		at, err := opened(judge, directory(a.log).path("checkpoint"), a)
		if err != nil {
			return nil, err
		}
		return at, judge.audit(directory(a.log), at)
	}
	return nil, fmt.Errorf("%w: no command %q", errUnusable, command)
}

// verify checks the directory's checkpoint, that the entry is under it, and that the old one is a prefix of it.
func verify(judge verifier, a arguments) (any, error) {
	log := directory(a.log)
	at, err := opened(judge, log.path("checkpoint"), a)
	if err != nil {
		return nil, err
	}
	var entry []byte
	if a.entry != "" {
		entry, err = os.ReadFile(a.entry)
	} else {
		entry, err = log.entry(a.index, at.Size)
	}
	if err != nil {
		return nil, err
	}
	if err := judge.inclusion(log, at, a.index, entry); err != nil {
		return nil, fmt.Errorf("inclusion: %w", err)
	}
	if a.old != "" {
		a.cosigners = nil // Asked of the newest checkpoint only.
		old, err := opened(judge, a.old, a)
		if err != nil {
			return nil, fmt.Errorf("old: %w", err)
		}
		if err := judge.consistency(log, old, at); err != nil {
			return nil, fmt.Errorf("consistency: %w", err)
		}
	}
	return at, nil
}

// verifyProof checks a proof file without any other part of the log.
func verifyProof(judge verifier, a arguments) (any, error) {
	entry, err := os.ReadFile(a.entry)
	if err != nil {
		return nil, err
	}
	index, hashes, signed, err := readProof(a.proof)
	if err != nil {
		return nil, err
	}
	at, err := judge.checkpoint(signed, a.key, a.cosigners)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return at, judge.given(at, index, entry, hashes)
}

func opened(judge verifier, path string, a arguments) (head, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return head{}, err
	}
	at, err := judge.checkpoint(signed, a.key, a.cosigners)
	if err != nil {
		return head{}, fmt.Errorf("checkpoint: %w", err)
	}
	return at, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, errUnusable) || errors.Is(err, fs.ErrNotExist) {
		os.Exit(2)
	}
	os.Exit(1)
}
