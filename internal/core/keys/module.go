package keys

// NewModuleBlob is a blob whose body a hardware module sealed, under a key that is in the module, with ModuleAAD of the same header and context.
func NewModuleBlob(h Header, body []byte) []byte { return append(moduleHeader(h, len(body)), body...) }

// ModuleAAD is what a module authenticates besides the plaintext: the blob's header, and the context so that different ones are different bytes.
func ModuleAAD(h Header, ctx Context) ([]byte, error) {
	size, err := ctx.measure(Part{})
	if err != nil {
		return nil, err
	}
	return ctx.append(moduleHeader(h, size), Part{}), nil
}

// ModuleBody is the part of a blob that the module made. It fails with ErrInvalidCiphertext itself unless the blob is of this
// header, and made by NewModuleBlob.
func ModuleBody(h Header, blob []byte) ([]byte, error) {
	actual, err := ParseHeader(blob)
	if err != nil || blob[1] != suiteModule || actual != h {
		return nil, ErrInvalidCiphertext
	}
	return blob[headerSize:], nil
}

func moduleHeader(h Header, more int) []byte {
	b := h.append(make([]byte, 0, headerSize+more))
	b[1] = suiteModule
	return b
}
