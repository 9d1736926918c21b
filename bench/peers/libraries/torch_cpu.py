"""PyTorch on the CPU, in its own process: protocol.ts has the requests and replies, torch_cpu.ts adds the numbers."""
import base64
import json
import math
import os
import re
import signal
import sys
import time


def reply(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Lacking(Exception):
    """A missing package."""


def message_of(error):
    if isinstance(error, Lacking):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def processors():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


THREADS = processors()
# The libraries read these as they load; some builds would use only one thread.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process

try:
    import torch
    import torch.nn.functional as F
except ModuleNotFoundError as error:
    reply(type="failed", reason=f"python3 has no {error.name}")
    sys.exit()
except Exception as error:
    reply(type="failed", reason=f"python3 cannot load torch: {message_of(error)}")
    sys.exit()


def blas():
    """The BLAS library in use: Debian's reference one is several times slower than OpenBLAS."""
    try:
        with open("/proc/self/maps") as maps:
            names = set(re.findall(r"/(lib[\w.+-]*(?:blas|blis|mkl)[\w.+-]*)", maps.read()))
    except OSError:
        names = set()
    # A wrapper library is loaded together with its target. The longer name is the target's.
    return max(names, key=len, default="built in")


def attention_ways(dimensions):
    tokens, width = dimensions["T"], dimensions["D"]
    scale = width**-0.5
    mask = torch.full((tokens, tokens), -math.inf).triu(1)

    def baddbmm_softmax_bmm(query, key, value):
        logits = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scale)
        return torch.bmm(torch.softmax(logits, -1), value)

    def matmul_softmax_matmul(query, key, value):
        logits = torch.matmul(query, key.transpose(-2, -1)) * scale + mask
        return torch.matmul(torch.softmax(logits, -1), value)

    ways = [matmul_softmax_matmul, baddbmm_softmax_bmm]
    if hasattr(F, "scaled_dot_product_attention"):

        def scaled_dot_product_attention(*operands):
            batch = [operand.unsqueeze(0) for operand in operands]
            return F.scaled_dot_product_attention(*batch, is_causal=True).squeeze(0)

        ways.append(scaled_dot_product_attention)
    return ways


def row_ways(dimensions, epsilon):
    width = dimensions["d"]

    def square_mean_rsqrt(rows, gain):
        return rows * torch.rsqrt(rows.square().mean(-1, keepdim=True) + epsilon) * gain

    def vector_norm_rsqrt(rows, gain):
        norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        return rows * torch.rsqrt(norms.square() / width + epsilon) * gain

    ways = [square_mean_rsqrt, vector_norm_rsqrt]
    if hasattr(F, "rms_norm"):

        def rms_norm(rows, gain):
            return F.rms_norm(rows, [width], gain, epsilon)

        ways.append(rms_norm)
    return ways


def model_runs(work, tokens):
    """The passes of a model in Hugging Face's layout, by transformers. They compute no gradients of weights."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import AutoModelForCausalLM
    except ModuleNotFoundError as error:
        raise Lacking(f"python3 has torch, but no {error.name}") from error
    model = AutoModelForCausalLM.from_pretrained(work["folder"]).float().eval()
    model.requires_grad_(False)
    inputs, targets = (tokens(name).long() for name in ["inputs", "targets"])

    def losses(embedded):
        logits = model(inputs_embeds=embedded, use_cache=False).logits
        return F.cross_entropy(logits[0], targets, reduction="none")

    def forward():
        with torch.no_grad():
            return {"tokenLosses": losses(model.get_input_embeddings()(inputs[None]))}

    def backward():
        embedded = model.get_input_embeddings()(inputs[None]).requires_grad_()
        found = losses(embedded)
        (gradient,) = torch.autograd.grad(found.mean(), embedded)
        return {"tokenLosses": found, "embeddedGradient": gradient}

    attention = getattr(model.config, "_attn_implementation", "")
    return [(f"transformers {attention}".strip(), forward if work["pass"] == "forward" else backward)]


def runs_of(request):
    """Pairs of a way's name and a function, which runs the way and returns its results by name."""
    work = request["work"]
    dimensions = work["dimensions"]

    def numbers(name):
        return torch.frombuffer(bytearray(base64.b64decode(request["inputs"][name])), dtype=torch.float32)

    if work["operator"] == "model":
        return model_runs(work, numbers)
    if work["operator"] == "attention":
        names = ["query", "key", "value"]
        shapes = [[dimensions[axis] for axis in "HTD"]] * 3
        ways = attention_ways(dimensions)
    else:
        names = ["input", "gain"]
        shapes = [[dimensions["rows"], dimensions["d"]], [dimensions["d"]]]
        ways = row_ways(dimensions, request["epsilon"])

    def tensor(name, shape):
        return numbers(name).reshape(shape)

    operands = [tensor(name, shape) for name, shape in zip(names, shapes)]
    if work["pass"] == "forward":

        def forward(way):
            with torch.no_grad():
                return {"output": way(*operands)}

        run = forward
    else:
        gradient = tensor("outputGradient", shapes[0])
        for operand in operands:
            operand.requires_grad_()

        def backward(way):
            gradients = torch.autograd.grad(way(*operands), operands, gradient)
            return {name + "Gradient": each for name, each in zip(names, gradients)}

        run = backward
    return [(way.__name__, lambda way=way: run(way)) for way in ways]


def numbers_of(results, stretches):
    flat = {name: result.detach().reshape(-1) for name, result in results.items()}
    lists = [flat[each["output"]][each["start"] :][: each["length"]].tolist() for each in stretches]
    # JSON has no NaN.
    return [[x if math.isfinite(x) else None for x in numbers] for numbers in lists]


def prepare(request):
    runs = runs_of(request)
    ways = []
    for name, run in runs:
        try:
            begin = time.perf_counter()
            results = run()
            first = (time.perf_counter() - begin) * 1e3
            numbers = numbers_of(results, request["stretches"])
            ways.append({"name": name, "numbers": numbers, "first": first})
        except Exception as error:
            ways.append({"name": name, "fault": message_of(error)})
    reply(type="prepared", ways=ways)
    return [run for _, run in runs]


def sample(run, runs):
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(runs):
        run()
    reply(type="sampled", wall=time.perf_counter_ns() - wall, cpu=time.process_time_ns() - cpu)


def main():
    torch.set_num_threads(THREADS)
    torch.zeros(2, 2) @ torch.zeros(2, 2)
    reply(type="ready", versions={"torch": torch.__version__, "torch's BLAS": blas()})
    runs = []
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["type"] == "sample":
                sample(runs[request["way"]], request["runs"])
            else:
                runs = prepare(request)
        except Exception as error:
            reply(type="failed", reason=message_of(error))


main()
