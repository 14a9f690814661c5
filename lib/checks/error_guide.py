"""The error guide: what each kind of error means and how to resolve it.

Entries are looked up by the worker's error code. Errors without a code, from older deployments or
other workers, are matched by their message.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Guide:
    """Guide entry for one kind of error; contains no text from jobs or providers.

    `retry`: whether a manual retry "helps", helps only "after" the cause is fixed, or is
    "useless". `pattern`: regular expression that recognizes errors without a code. With `narrows`,
    errors with the code must match `pattern` too.
    """

    code: str
    title: str
    meaning: str
    todo: str
    retry: Literal["helps", "after", "useless"]
    pattern: str = ""
    narrows: bool = False


CATALOGUE = (
    Guide(
        "unauthorized",
        "The Replicate token is missing, wrong or not allowed to do this",
        "Replicate refuses the API token: it is not set, was revoked, belongs to another account,"
        " or may not use this model. Every job of the provider fails until that is mended.",
        "Look up the token at Replicate, set REPLICATE_API_TOKEN for every worker and restart"
        " them. Then retry the jobs.",
        "after",
        r"REPLICATE_API_TOKEN|api (token|key)|unauthori[sz]ed|unauthenticated|\b401\b|\b403\b",
    ),
    Guide(
        "no_credit",
        "The Replicate account has no credit",
        "Replicate runs nothing for an account without credit or with a failed payment.",
        "Add credit or a payment method at Replicate, wait a few minutes, then retry the jobs.",
        "after",
        r"insufficient credit|no credit|payment|billing|\b402\b",
    ),
    Guide(
        "rate_limited",
        "Too many requests to Replicate",
        "Replicate limits how many predictions an account may start a minute, far fewer without"
        " a payment method. The queue holds the model back for as long as Replicate asks, so"
        " a job fails of it only when other errors had used up its attempts.",
        "Retry the jobs: they are spread over time. If it goes on, run fewer jobs at once"
        " (DARKROOM_CONCURRENCY) or ask Replicate for a higher limit.",
        "helps",
        r"rate.?limit|throttl|too many requests|\b429\b",
    ),
    Guide(
        "model_not_found",
        "Replicate has no such model",
        "The model, or the version that the models table names for it, does not exist: a typing"
        " error, a model that was renamed or deleted, or a private one of another account.",
        "Compare id and version in the models table with the model's page at Replicate. Mend or"
        " disable the model first: the jobs fail again otherwise.",
        "after",
        r"(model|version).{0,80}(does not exist|not found|no such)|no model\b",
    ),
    Guide(
        "invalid_payload",
        "The user is gone",
        "The user who asked for the image has been deleted since, and the generation with them.",
        "Nothing: nobody waits for the image. A retry fails again.",
        "useless",
        r"violates foreign key constraint|user .{0,60}(is gone|not found|does not exist)",
        narrows=True,
    ),
    Guide(
        "invalid_payload",
        "The job's payload can never run",
        "The payload lacks a prompt, has an input that the model does not take, or cannot be read."
        " It was enqueued past start-generation, which checks all this.",
        "Correct the program that enqueues such jobs. A retry fails again.",
        "useless",
        r"payload",
    ),
    Guide(
        "invalid_input",
        "Replicate refuses the input",
        "Replicate does not accept an input that the models table allows: the schema there is old"
        " or missing.",
        "Compare the payload with the inputs that the model's page at Replicate lists, and correct"
        " the models table. Then retry the jobs.",
        "after",
        r"invalid input|validation|unprocessable|not supported|\b422\b|\b400\b",
    ),
    Guide(
        "refused",
        "The safety filter refused",
        "The model's safety filter objected to the prompt or to the image. It is not tried again.",
        "Nothing that an operator can do: the user should word the prompt differently.",
        "useless",
        r"safety|nsfw|sensitive|content policy|flagged|moderat|\bE005\b",
    ),
    Guide(
        "vendor_account",
        "The vendor of the model refuses the account",
        "The company behind the model, not Replicate, says that the account or key that is used"
        " with it has no credit (E001) or is not valid (E002). Other models are not affected.",
        "Disable the model, look at its page at Replicate, and retry the jobs once it works again.",
        "after",
        r"\bE00[12]\b",
    ),
    Guide(
        "prediction_failed",
        "The model ran out of memory",
        "The prediction needed more memory than Replicate's machine has: mostly a large image or"
        " many outputs, sometimes a crowded machine.",
        "Retry a few. If they fail again, lower the size in the models table's default"
        " parameters, or use a model on larger hardware.",
        "helps",
        r"out of memory|\bOOM\b",
        narrows=True,
    ),
    Guide(
        "prediction_failed",
        "The model failed while it ran",
        "Replicate started the prediction, and the model broke off or made no image. The message"
        " is the model's own.",
        "Look the message up on the model's page at Replicate. If all its jobs fail since a"
        " certain time, its version may have changed. Single failures mostly pass: retry them.",
        "helps",
        r"ended as (failed|aborted|canceled)|prediction.{0,40}fail",
    ),
    Guide(
        "deadline_exceeded",
        "The prediction took too long",
        "It was cancelled after DARKROOM_GENERATION_SECONDS. Replicate was starting the model"
        " anew, had a queue for it, or the model hangs.",
        "Retry a few and look at Models: if run times have grown, wait for Replicate or raise"
        " DARKROOM_GENERATION_SECONDS.",
        "helps",
        r"took longer than|deadline|timed? ?out",
    ),
    Guide(
        "unreachable",
        "Replicate does not answer",
        "The worker reached no server of Replicate: its network, name resolution or a firewall,"
        " or Replicate itself. After five in a row the queue pauses the provider by itself.",
        "Look at Replicate's status page and at the worker machine's network. Once it answers,"
        " retry the jobs.",
        "helps",
        r"ECONN|ENOTFOUND|EAI_AGAIN|fetch failed|does not answer|connection (refused|reset)",
    ),
    Guide(
        "provider_error",
        "Replicate had a failure of its own",
        "Replicate answered with an internal error (5xx). After five in a row the queue pauses"
        " the provider by itself and tries it again with single jobs.",
        "Look at Replicate's status page. Once it is well, retry the jobs.",
        "helps",
        r"\b50[0234]\b|bad gateway|service unavailable|internal server error",
    ),
    Guide(
        "unexpected_answer",
        "Replicate answered what no documentation foresees",
        "The answer had another form than Replicate's API documents: a proxy between, a changed"
        " API, or a wrong REPLICATE_API_URL.",
        "Check REPLICATE_API_URL and proxies on the way; then retry one job. If it fails again,"
        " the client in lib/replicate needs a change.",
        "after",
        r"unexpected (answer|response|token)|is not valid json",
    ),
    Guide(
        "prediction_not_found",
        "The prediction is gone at Replicate",
        "Replicate removed the prediction, or the token belongs to another account now.",
        "Retry the jobs: a new prediction is made.",
        "helps",
        r"no prediction|prediction.{0,80}not found",
    ),
    Guide(
        "image_not_found",
        "The address of the image is refused",
        "The image is paid for, but its server refuses the address (4xx) even after it was read"
        " again, or the address leads into a private network. No attempt pays for another image.",
        "Look at what the message says of the server. A retry fetches the same image again; one"
        " that is more than an hour old is made, and paid for, again.",
        "after",
        r"no image\b|image.{0,40}not found|server of the image.{0,300}answered 4",
    ),
    Guide(
        "image_unreachable",
        "The server of the image does not answer",
        "The prediction succeeded and is paid for, but the server of its image was down, busy or"
        " too slow for DARKROOM_GENERATION_SECONDS. This is no failure of Replicate's API, so no"
        " other jobs wait for it.",
        "Look at Replicate's status page and at the worker machine's network. A retry fetches the"
        " same image again; one that is more than an hour old is made, and paid for, again.",
        "helps",
        r"server of the image|image did not arrive",
    ),
    Guide(
        "not_an_image",
        "What the model made is no image",
        "The output was fetched twice and is no PNG, JPEG, WebP, GIF or AVIF image that can be"
        " opened: another kind of file, damaged, or of more than 100 megapixels.",
        "Check that the model makes images, and set its output format and size in the models"
        " table's default parameters. A retry within an hour fetches the same file again.",
        "after",
        r"not an image|no (PNG|URL|web address)|image cannot be opened|megapixels",
    ),
    Guide(
        "storage_failed",
        "The image could not be stored",
        "The storage did not take the image: the disk is full or read-only, or Supabase's Storage"
        " is down, over its quota or without the bucket. Workers claim no such jobs meanwhile.",
        "Free space on the disk of DARKROOM_DATA and let workers write to it; or look up the"
        " project's status and quota and the bucket that SUPABASE_STORAGE_BUCKET names. Jobs then"
        " go on by themselves, and an image less than an hour old is not paid for again.",
        "after",
        r"supabase storage|bucket|disk for images|folder of images",
    ),
    Guide(
        "outputs_expired",
        "A paid image was gone before it could be stored",
        "An earlier attempt paid for the image more than an hour ago, but could not store it"
        " within the hour for which Replicate keeps it. The next attempt pays for another.",
        "Nothing for the jobs: they go on. Find out why images could not be stored for so long.",
        "helps",
        r"no longer has the image",
    ),
    Guide(
        "creation_unknown",
        "Whether the provider has started is not known yet",
        "An attempt was cut off before the provider's answer. Its prediction is looked for in the"
        " provider's list before another is paid for.",
        "Nothing: within a minute it is found, or known not to exist, and the job goes on.",
        "useless",
        r"may have started this generation",
    ),
    Guide(
        "image_refused",
        "The bucket does not allow this image",
        "This image is larger than the bucket's limit, or of a type that it does not allow.",
        "In the project's dashboard, raise the bucket's file size limit, or allow image/png,"
        " image/jpeg, image/webp, image/gif and image/avif. Then retry the jobs: an image less than"
        " an hour old is not paid for again.",
        "after",
        r"exceeded the maximum allowed size|mime type",
    ),
    Guide(
        "too_large",
        "The answer or image is too large",
        "What Replicate sent is larger than the worker accepts, mostly an image of a huge size.",
        "Ask for a smaller size or a compressed format in the models table's default parameters.",
        "after",
        r"(is|too) larger? than|too large",
    ),
    Guide(
        "worker_lost",
        "The worker died or fell silent",
        "The worker was killed, ran out of memory, or lost its network while it ran the job.",
        "Look at the logs and the memory of the workers' machines. Retry the jobs; if the same"
        " ones come back here, look at what is special in their payloads.",
        "helps",
        r"worker died|no heartbeat|sign of life|worker .{0,30}lost",
    ),
    Guide(
        "internal",
        "An error in the worker's own program",
        "The worker broke off with an error that it does not know, or the result could not be"
        " stored. Its log has the whole traceback.",
        "Look at the worker's log at that time, mend what it says, then retry the jobs.",
        "after",
        r"unexpected error|cannot be stored|traceback|exception",
    ),
)

UNKNOWN = Guide(
    "",
    "An error that the catalogue does not know",
    "Its message is all that is known: it comes from another worker or an older deployment.",
    "Read the message and the payload. Retry one job: if it succeeds, retry the rest.",
    "helps",
)


def guide(code: str | None, message: str | None) -> Guide:
    """Look up an error by its code, or by its message if the code is missing or unknown."""
    known = [entry for entry in CATALOGUE if entry.code == code]
    for entry in known:
        if not entry.narrows or _matches(entry, message):
            return entry
    return next((entry for entry in CATALOGUE if not known and _matches(entry, message)), UNKNOWN)


def _matches(entry: Guide, message: str | None) -> bool:
    return re.search(entry.pattern, message or "", re.IGNORECASE) is not None
