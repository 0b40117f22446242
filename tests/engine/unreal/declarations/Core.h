// Declarations of our own: as much of the engine's types as the plugin uses, so that a compiler can check its syntax and
// its types. They say nothing about how the engine works inside, and nothing here runs.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define ENGINE_MAJOR_VERSION 5
#ifndef ENGINE_MINOR_VERSION
#error "which 5.x? -DENGINE_MINOR_VERSION=5"
#endif
#define UE_VERSION_OLDER_THAN(Major, Minor, Patch) (5 < (Major) || (5 == (Major) && ENGINE_MINOR_VERSION < (Minor)))
#define WITH_EDITOR 1
#define WITH_DEV_AUTOMATION_TESTS 1
#ifndef PLATFORM_WINDOWS
#define PLATFORM_WINDOWS 0
#endif

using int8 = std::int8_t;
using uint8 = std::uint8_t;
using int16 = std::int16_t;
using uint16 = std::uint16_t;
using int32 = std::int32_t;
using uint32 = std::uint32_t;
using int64 = long long;
using uint64 = unsigned long long;
using TCHAR = char16_t;
using ANSICHAR = char;

#define TEXT(X) u##X
#define TEXT_PASTE(X) TEXT(X)
// A function that is handed a lambda needs a body, for nobody else could write one.
#define NEVER_RUN { __builtin_trap(); }
#define UE_SOURCE_LOCATION TEXT("")
enum { INDEX_NONE = -1 };
#define check(X) ((void)(X))
#define UTF8_TO_TCHAR(X) DeclaredTchar(X)
#define TCHAR_TO_UTF8(X) DeclaredUtf8(X)
const TCHAR* DeclaredTchar(const char*);
const char* DeclaredUtf8(const TCHAR*);

// Reflection and exports
#define UCLASS(...)
#define USTRUCT(...)
#define UENUM(...)
#define UPROPERTY(...)
#define UFUNCTION(...)
#define RENDERLIFT_API
#define RENDERLIFTMOVIE_API
#define RENDERLIFTMOVIEGRAPH_API

template <class T>
constexpr std::remove_reference_t<T>&& MoveTemp(T&& Value)
{
	static_assert(!std::is_const_v<std::remove_reference_t<T>>, "a const value cannot be moved");
	return static_cast<std::remove_reference_t<T>&&>(Value);
}

enum EForceInit { ForceInit };
uint32 PointerHash(const void*, uint32 = 0);

// Containers and strings
template <class T>
struct TArray
{
	TArray() = default;
	TArray(std::initializer_list<T>);
	int32 Num() const;
	int32 Add(const T&);
	int32 Add(T&&);
	T& AddDefaulted_GetRef();
	void RemoveAt(int32);
	void Empty();
	void SetNumUninitialized(int32);
	bool IsValidIndex(int32) const;
	bool Contains(const T&) const;
	T* GetData();
	const T* GetData() const;
	T& operator[](int32);
	const T& operator[](int32) const;
	template <class P> int32 IndexOfByPredicate(P) const NEVER_RUN
	template <class P> bool ContainsByPredicate(P) const NEVER_RUN
	template <class P> T* FindByPredicate(P) NEVER_RUN
	T* begin();
	T* end();
	const T* begin() const;
	const T* end() const;
};

template <class T>
struct TSet
{
	void Add(const T&);
	bool Contains(const T&) const;
	int32 Num() const;
	const T* begin() const;
	const T* end() const;
};

template <class K, class V>
struct TMap
{
	V& Add(const K&, const V&);
	V* Find(const K&);
	V& FindOrAdd(const K&, const V&);
	const V* Find(const K&) const;
	bool Contains(const K&) const;
	int32 Num() const;
	void Empty();
};

template <class T>
struct TOptional
{
	TOptional();
	TOptional(const T&);
	TOptional(T&&);
	bool IsSet() const;
	template <class... A> T& Emplace(A&&...);
	void Reset();
	T* GetPtrOrNull();
	T& operator*();
	const T& operator*() const;
	T* operator->();
	const T* operator->() const;
	explicit operator bool() const;
};

// From 5.8 on the engine holds formats against their arguments when it compiles, and refuses what does not fit.
template <class T>
consteval char DeclaredConversion()
{
	using D = std::decay_t<T>;
	if constexpr (std::is_convertible_v<D, const TCHAR*>)
	{
		return 's';
	}
	return std::is_floating_point_v<D> ? 'f' : sizeof(D) < 8 ? 'd' : std::is_signed_v<D> ? 'l' : 'u';
}
void DeclaredFormatDoesNotFit();
template <class... A>
struct TDeclaredFormat
{
	consteval TDeclaredFormat(const TCHAR* Text)
	{
		const char Wanted[] = {DeclaredConversion<A>()..., 0};
		std::size_t Index = 0;
		for (; *Text; ++Text)
		{
			if (*Text != u'%')
			{
				continue;
			}
			int Longs = 0;
			for (++Text; *Text == u'.' || *Text == u'l' || (*Text >= u'0' && *Text <= u'9'); ++Text)
			{
				Longs += *Text == u'l';
			}
			const char Found = Longs == 2 ? (*Text == u'u' ? 'u' : 'l') : char(*Text);
			if (Wanted[Index++] != Found)
			{
				DeclaredFormatDoesNotFit();
			}
		}
		if (Wanted[Index])
		{
			DeclaredFormatDoesNotFit();
		}
	}
};

struct FString
{
	FString();
	FString(const TCHAR*);
	template <class... A> static FString Printf(TDeclaredFormat<std::type_identity_t<A>...>, const A&...);
	const TCHAR* operator*() const;
	bool IsEmpty() const;
	bool StartsWith(const TCHAR*) const;
	FString Left(int32) const;
	FString RightChop(int32) const;
	FString& operator+=(const FString&);
	bool operator==(const FString&) const;
};
FString operator+(const FString&, const FString&);
FString operator+(const FString&, const TCHAR*);
FString operator+(const TCHAR*, const FString&);
struct FCString
{
	static int32 Strlen(const TCHAR*);
};
struct FName
{
	FName();
	FName(const TCHAR*);
	FName(const char*);
	FString ToString() const;
};
struct FText
{
	static const FText& GetEmpty();
	static FText FromString(const FString&);
	template <class... A> static FText Format(FText, A...);
	bool IsEmpty() const;
	const FString& ToString() const;
};
#define LOCTEXT(Key, Text) DeclaredLoctext(LOCTEXT_NAMESPACE, Key, Text)
FText DeclaredLoctext(const char*, const char*, const char*);

// Functions, delegates
template <class> struct TFunction;
template <class R, class... A>
struct TFunction<R(A...)> : std::function<R(A...)>
{
	using std::function<R(A...)>::function;
	TFunction(decltype(nullptr)) {}
	TFunction() = default;
};
struct FDelegateHandle {};

template <class R, class... A>
struct TDeclaredDelegate
{
	template <class T> static TDeclaredDelegate CreateRaw(T*, R (T::*)(A...));
	template <class F>
		requires std::is_invocable_r_v<R, F, A...>
	static TDeclaredDelegate CreateLambda(F) NEVER_RUN
	template <class F>
		requires std::is_invocable_r_v<R, F, A...>
	static TDeclaredDelegate CreateStatic(F) NEVER_RUN
};
template <class... A>
struct TDeclaredMulticast
{
	using FDelegate = TDeclaredDelegate<void, A...>;
	template <class F>
		requires std::is_invocable_v<F, A...>
	FDelegateHandle AddLambda(F) NEVER_RUN
	template <class F>
		requires std::is_invocable_v<F, A...>
	FDelegateHandle AddWeakLambda(class UObject*, F) NEVER_RUN
	template <class T> FDelegateHandle AddRaw(T*, void (T::*)(A...));
	void Remove(FDelegateHandle);
	int32 RemoveAll(const void*);
	void Broadcast(A...) const;
};
using FSimpleMulticastDelegate = TDeclaredMulticast<>;
#define DECLARE_MULTICAST_DELEGATE_OneParam(Name, A) using Name = TDeclaredMulticast<A>

// Smart pointers
enum class ESPMode { NotThreadSafe, ThreadSafe };
template <class T, ESPMode Mode = ESPMode::ThreadSafe> struct TSharedPtr;
template <class T, ESPMode Mode = ESPMode::ThreadSafe>
struct TSharedRef
{
	template <class U>
		requires std::convertible_to<U*, T*>
	TSharedRef(const TSharedRef<U, Mode>&);
	TSharedRef(const TSharedRef&);
	T& operator*() const;
	T* operator->() const;
	T& Get() const;

private:
	TSharedRef();
};
template <class T, ESPMode Mode>
struct TSharedPtr
{
	TSharedPtr();
	TSharedPtr(decltype(nullptr));
	template <class U>
		requires std::convertible_to<U*, T*>
	TSharedPtr(const TSharedRef<U, Mode>&);
	template <class U>
		requires std::convertible_to<U*, T*>
	TSharedPtr(const TSharedPtr<U, Mode>&);
	TSharedPtr(const TSharedPtr&);
	TSharedPtr& operator=(const TSharedPtr&) = default;
	bool IsValid() const;
	void Reset();
	TSharedRef<T, Mode> ToSharedRef() const;
	T& operator*() const;
	T* operator->() const;
	explicit operator bool() const;
};
template <class T>
class TSharedFromThis
{
public:
	TSharedRef<T> AsShared();
};
template <class T>
struct TWeakPtr
{
	TWeakPtr();
	template <class U> TWeakPtr(const TSharedPtr<U>&);
	TSharedPtr<T> Pin() const;
};
template <class T, class... A>
	requires std::is_constructible_v<T, A...>
TSharedRef<T> MakeShared(A&&...) NEVER_RUN
template <class T> TSharedPtr<T> MakeShareable(T*);
template <class T>
struct TUniquePtr
{
	TUniquePtr();
	template <class U> TUniquePtr(TUniquePtr<U>&&);
	TUniquePtr(TUniquePtr&&);
	TUniquePtr& operator=(TUniquePtr&&);
	~TUniquePtr();
	T* Get() const;
	void Reset();
	T& operator*() const;
	T* operator->() const;
	explicit operator bool() const;
};
template <class T, class... A>
	requires std::is_constructible_v<T, A...>
TUniquePtr<T> MakeUnique(A&&...) NEVER_RUN

// Mathematics
struct FIntPoint
{
	int32 X, Y;
	FIntPoint();
	FIntPoint(int32, int32);
	bool operator==(const FIntPoint&) const;
	static const FIntPoint ZeroValue;
};
struct FIntRect
{
	FIntPoint Min, Max;
	int32 Width() const;
	int32 Height() const;
	FIntPoint Size() const;
};
struct FUintVector2
{
	uint32 X, Y;
	FUintVector2();
	FUintVector2(uint32, uint32);
};
struct FVector2f;
struct FVector2D
{
	double X, Y;
	FVector2D();
	FVector2D(double, double);
	explicit FVector2D(const FVector2f&);
	FVector2D operator*(double) const;
	FVector2D operator-(const FVector2D&) const;
};
struct FVector2f
{
	float X, Y;
	FVector2f();
	FVector2f(float, float);
	explicit FVector2f(const FVector2D&);
};
struct FVector
{
	double X, Y, Z;
};
struct FRotator
{
	double Pitch, Yaw, Roll;
};
struct FVector4f
{
	float X, Y, Z, W;
	FVector4f();
	FVector4f(float, float, float, float);
};
struct FMatrix
{
	double M[4][4];
};
struct FMath
{
	template <class T> static T Max(T, T);
	template <class T> static T Min(T, T);
	template <class T> static T Clamp(T, T, T);
	static double Atan(double);
	static double RadiansToDegrees(double);
};
struct FLinearColor
{
	FLinearColor(float, float, float, float = 1);
};

// Time, platform, log
struct FTimespan
{
	int64 GetTicks() const;
};
struct FDateTime
{
	FDateTime(int32, int32, int32);
	static FDateTime UtcNow();
	FTimespan operator-(const FDateTime&) const;
};
struct FPlatformTime
{
	static double Seconds();
};
struct FPlatformProcess
{
	static void Sleep(float);
	static void* GetDllHandle(const TCHAR*);
	static void FreeDllHandle(void*);
	static void PushDllDirectory(const TCHAR*);
	static void PopDllDirectory(const TCHAR*);
};
struct FPlatformMisc
{
	static FString GetEnvironmentVariable(const TCHAR*);
};
struct FEngineVersion
{
	static const FEngineVersion& Current();
	FString ToString() const;
};
struct FPaths
{
	template <class... A> static FString Combine(const A&...);
};
struct IFileManager
{
	static IFileManager& Get();
	void FindFiles(TArray<FString>&, const TCHAR*, bool, bool);
};
struct FCriticalSection {};
struct FScopeLock
{
	explicit FScopeLock(FCriticalSection*);
	~FScopeLock();
};
bool IsInGameThread();
bool IsInRenderingThread();
bool IsRunningCommandlet();
extern uint64 GFrameCounter;
struct FDeclaredLogCategory {};
enum EDeclaredVerbosity { Log, All, Warning, Error };
#define DECLARE_LOG_CATEGORY_EXTERN(Name, ...) extern FDeclaredLogCategory Name
#define DEFINE_LOG_CATEGORY(Name) FDeclaredLogCategory Name
#define DEFINE_LOG_CATEGORY_STATIC(Name, ...) static FDeclaredLogCategory Name
template <class... A>
void DeclaredLog(FDeclaredLogCategory&, EDeclaredVerbosity, TDeclaredFormat<std::type_identity_t<A>...>, const A&...) NEVER_RUN
#define UE_LOG(Category, Verbosity, ...) DeclaredLog(Category, EDeclaredVerbosity::Verbosity, __VA_ARGS__)

struct FCoreDelegates
{
	static FSimpleMulticastDelegate OnEnginePreExit;
};
using FTickerDelegate = TDeclaredDelegate<bool, float>;
struct FTSTicker
{
	struct FDelegateHandle {};
	static FTSTicker& GetCoreTicker();
	FDelegateHandle AddTicker(const FTickerDelegate&, float = 0.0f);
	static void RemoveTicker(FDelegateHandle);
};
namespace UE::Tasks
{
	template <class F>
		requires std::is_invocable_v<F>
	void Launch(const TCHAR*, F&&) NEVER_RUN
}

enum EConsoleVariableFlags { ECVF_SetByConsole };
struct IConsoleVariable
{
	int32 GetInt() const;
	void Set(int32, EConsoleVariableFlags);
};
struct IConsoleManager
{
	static IConsoleManager& Get();
	IConsoleVariable* FindConsoleVariable(const TCHAR*) const;
};
using FConsoleCommandDelegate = TDeclaredDelegate<void>;
struct FAutoConsoleCommand
{
	FAutoConsoleCommand(const TCHAR*, const TCHAR*, const FConsoleCommandDelegate&);
};

struct IModuleInterface
{
	virtual ~IModuleInterface();
	virtual void StartupModule();
	virtual void ShutdownModule();
};
struct FDefaultModuleImpl : IModuleInterface {};
struct FModuleManager
{
	template <class T> static T& LoadModuleChecked(const char*);
	template <class T> static T* GetModulePtr(const char*);
};
#define IMPLEMENT_MODULE(Class, Name) IModuleInterface* Declared##Name() { return new Class; }
struct IPlugin
{
	FString GetBaseDir() const;
};
struct IPluginManager
{
	static IPluginManager& Get();
	TSharedPtr<IPlugin> FindPlugin(const TCHAR*);
};
void AddShaderSourceDirectoryMapping(const FString&, const FString&);

// Objects
struct UClass
{
	FString GetName() const;
};
enum EObjectFlags { RF_Transient };
class UWorld;
class UObject
{
public:
	virtual ~UObject();
	FString GetName() const;
	FString GetPathName() const;
	UClass* GetClass() const;
	virtual UWorld* GetWorld() const;
	bool IsTemplate() const;
	template <class T> bool IsA() const;
	template <class T> T* GetTypedOuter() const;
};
template <class T> T* NewObject();
template <class T> const T* GetDefault();
template <class T, class U> T* Cast(U*);
template <class T, class U> const T* Cast(const U*);
template <class T>
struct TObjectPtr
{
	T* operator->() const;
	operator T*() const;
};
template <class T>
struct TWeakObjectPtr
{
	TWeakObjectPtr();
	TWeakObjectPtr(T*);
	TWeakObjectPtr& operator=(T*);
	T* Get() const;
	bool IsValid() const;
	T* operator->() const;
	T& operator*() const;
};
template <class T>
struct TStrongObjectPtr
{
	void Reset(T* = nullptr);
	T* Get() const;
	T* operator->() const;
	explicit operator bool() const;
};
template <class T>
struct TObjectIterator
{
	explicit operator bool() const;
	TObjectIterator& operator++();
	T* operator*() const;
	T* operator->() const;
};
template <class T>
struct TActorIterator
{
	explicit TActorIterator(class UWorld*);
	T* operator->() const;
	explicit operator bool() const;
	TActorIterator& operator++();
	T* operator*() const;
};

// Automation
#if ENGINE_MINOR_VERSION >= 5
enum class EAutomationTestFlags : uint32 { ProductFilter = 1, NonNullRHI = 2 };
constexpr EAutomationTestFlags operator|(EAutomationTestFlags A, EAutomationTestFlags B)
{
	return EAutomationTestFlags(uint32(A) | uint32(B));
}
constexpr EAutomationTestFlags EAutomationTestFlags_ApplicationContextMask = EAutomationTestFlags(4);
#else
struct EAutomationTestFlags
{
	enum Type { ProductFilter = 1, NonNullRHI = 2, ApplicationContextMask = 4 };
};
#endif
struct FDeclaredSpec
{
	template <class F>
		requires std::is_invocable_v<F>
	void It(const char*, F) NEVER_RUN
	template <class T> bool TestEqual(const TCHAR*, const T&, const T&);
	bool TestTrue(const TCHAR*, bool);
};
#define BEGIN_DEFINE_SPEC(Class, Path, Flags) \
	static_assert(uint32(Flags) != 0); \
	struct Class : FDeclaredSpec \
	{ \
		void Define();
#define END_DEFINE_SPEC(Class) };
