// The commands of codex workers. Each is answered after its transaction has ended, never before.

import { randomUUID } from 'node:crypto';
import { ForeignWorker, PayloadTooLarge, UnknownWorker } from '../store/ledger.mjs';
import { PublishRateLimited } from '../store/sequencer.mjs';
import { HttpError } from './errors.mjs';
import { checkSignature } from './signature.mjs';

const TOPIC_CLASS = 'codex_worker_events';

// This runtime's users are numbered, so anything but a positive integer is no user.
function userOf(request, config) {
  const text = request.headers['x-oa-user-id'];
  const userId = Number(text);
  if (!/^[1-9]\d*$/.test(text ?? '') || !Number.isSafeInteger(userId)) {
    throw new HttpError(400, 'invalid_user_id');
  }
  checkSignature(request.headers['x-oa-runtime-signature'], config.signatureSecret, userId);
  return userId;
}

const isText = (value, max) => typeof value === 'string' && value !== '' && value.length <= max;

function asHttpError(error, config) {
  if (error instanceof UnknownWorker) return new HttpError(404, 'worker_not_found');
  if (error instanceof ForeignWorker) return new HttpError(403, 'forbidden');
  if (error instanceof PayloadTooLarge) {
    return new HttpError(413, 'khala_frame_payload_too_large', {
      topic_class: TOPIC_CLASS, max_payload_bytes: config.payloadBytesMax,
    });
  }
  if (error instanceof PublishRateLimited) {
    return new HttpError(429, 'khala_publish_rate_limited', {
      retry_after_ms: error.retryAfterMs, topic_class: TOPIC_CLASS,
      max_publish_per_second: config.publishPerSecond,
    });
  }
  return error;
}

// Each handler takes {request, body, id} and returns [status, data].
export function workerHandlers({ ledger, config }) {
  const handlers = {
    async create({ body }, userId) {
      const { worker_id: id = randomUUID(), workspace_ref: workspace = null } = body;
      if (!isText(id, 200)) throw new HttpError(400, 'invalid_worker_id');
      const { existing } = await ledger.create(id, userId, workspace);
      // A new worker is told as it was created, before the event that its start is.
      return [202, {
        workerId: id, status: existing?.status ?? 'running',
        latestSeq: existing?.latest_seq ?? 0, idempotentReplay: existing !== undefined,
      }];
    },

    async publish({ body, id }, userId) {
      const { event_type: type, payload = {} } = body.event ?? {};
      if (!isText(type, 200)) throw new HttpError(400, 'invalid_event_type');
      if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) {
        throw new HttpError(400, 'invalid_payload');
      }
      const { seq, occurredAt } = await ledger.publish(id, userId, type, payload);
      return [202, { seq, event_type: type, payload, occurred_at: occurredAt, worker_id: id }];
    },

    async stop({ body, id }, userId) {
      const { existing } = await ledger.stop(id, userId, body.reason ?? null);
      return [202, {
        status: 'stopped', worker_id: id, idempotent_replay: existing !== undefined,
      }];
    },

    async snapshot({ id }, userId) {
      return [200, await ledger.document(id, userId)];
    },
  };
  return Object.fromEntries(Object.entries(handlers).map(([name, handle]) => [name, async (call) => {
    try {
      return await handle(call, userOf(call.request, config));
    } catch (error) {
      throw asHttpError(error, config);
    }
  }]));
}
