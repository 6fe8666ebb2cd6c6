// An HTTP error that a handler throws to be answered as it is.

export class HttpError extends Error {
  constructor(status, code, details = {}) {
    super(code);
    this.status = status;
    this.body = { error: code, ...details };
  }
}
