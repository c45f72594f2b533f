package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrInvalidToken is the refusal of a core token. It says nothing about why, on
// purpose.
var ErrInvalidToken = errors.New("invalid core token")

// The refusals in the words that phones know (WIRE c.1).
const (
	TextNoToken      = "No core token provided"
	TextInvalidToken = "Invalid core token"
	TextNoUserID     = "Invalid core token - no user ID"
)

const (
	// clockSkew is how far clocks may differ when exp and nbf are checked.
	clockSkew = 60 * time.Second
	// maxToken bounds a token in bytes before anything is parsed.
	maxToken = 8 << 10
)

// CoreTokens signs and checks the tokens with which glasses (their phones) and
// wearers identify themselves: JWT, HS256, one shared secret.
type CoreTokens struct {
	secret []byte
	parser *jwt.Parser
	now    func() time.Time
}

type coreClaims struct {
	Email string `json:"email,omitempty"`
	jwt.RegisteredClaims
}

// NewCoreTokens returns the checker for one secret; now is time.Now outside tests.
func NewCoreTokens(secret string, now func() time.Time) *CoreTokens {
	return &CoreTokens{
		secret: []byte(secret),
		now:    now,
		parser: jwt.NewParser(
			// One algorithm, decided by us: neither "none" nor a public-key
			// algorithm that would take our secret for its key.
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithLeeway(clockSkew),
			jwt.WithTimeFunc(now),
		),
	}
}

// Sign returns a token for a user id. It never expires: the phones of the real
// cloud hold theirs for ever and have no way to fetch another.
func (c *CoreTokens) Sign(userID string) (string, error) {
	userID = UserID(userID)
	if !ValidName(userID) {
		return "", fmt.Errorf("user id %s", NameRule)
	}
	claims := coreClaims{RegisteredClaims: jwt.RegisteredClaims{
		Subject: userID, IssuedAt: jwt.NewNumericDate(c.now()),
	}}
	if strings.Contains(userID, "@") {
		claims.Email = userID
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(c.secret)
	if err != nil {
		return "", fmt.Errorf("sign core token: %w", err)
	}
	return token, nil
}

// CoreUser returns the user id of a token: its e-mail, else its subject. exp
// and nbf are honoured when present. An empty user without an error means that
// the token is genuine but names nobody; the error is ErrInvalidToken.
func (c *CoreTokens) CoreUser(token string) (user string, err error) {
	if len(token) > maxToken {
		return "", ErrInvalidToken
	}
	var claims coreClaims
	_, err = c.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return c.secret, nil })
	if err != nil {
		return "", ErrInvalidToken
	}
	user = claims.Email
	if user == "" {
		user = claims.Subject
	}
	if user == "" {
		return "", nil
	}
	if user = UserID(user); !ValidName(user) {
		return "", ErrInvalidToken
	}
	return user, nil
}
